// Command demo shows a whole login on this machine, with no account anywhere: the backend on a temporary
// folder, a real OpenID provider, a stand-in for Notion's API, and a page that does what a Framer plugin
// does. A release has it as plugin-oauth-demo, which plugin-oauth demo runs. With Go, -v shows that the first
// build gets on:
//
//	go run -v ./examples/demo         # open the printed address and sign in
//	go run -v ./examples/demo -once   # sign in by itself over HTTP, print each step, exit 0 or 1
//	go run -v ./examples/demo -figma  # let a plugin in Figma sign in, such as examples/figma-plugin
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	once := flag.Bool("once", false, "sign in by itself over HTTP, print each step, and exit")
	figma := flag.Bool("figma", false, "let plugins in Figma sign in: pages without an origin may call")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: %q is not known\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*once, *figma); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(once, figma bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	// Plugins under development look for their backend at this port, those of the examples for their provider
	// at the next, and examples/framer-notion for Notion's API at the one after it.
	wanted := options{
		backendAddress:  "127.0.0.1:8787",
		providerAddress: "127.0.0.1:8788",
		notionAddress:   "127.0.0.1:8789",
	}
	if once {
		wanted = options{}
	}
	wanted.figma = figma
	d, err := start(wanted)
	if err != nil {
		return err
	}
	defer d.stop()

	if once {
		return signIn(ctx, os.Stdout, d)
	}
	if usual := "http://localhost:8787"; d.backendURL != usual {
		fmt.Printf("Another program uses the port 8787. A plugin of yours that looks for its backend at %s\n"+
			"finds that one: end it and start again, or write %s in the plugin.\n\n", usual, d.backendURL)
	}
	fmt.Printf("Plugin     %s (open it and sign in)\n", d.pluginURL)
	fmt.Printf("Username   %s\n", d.username)
	fmt.Printf("Password   %s\n\n", d.password)
	fmt.Printf("Dashboard  %s/_/\n", d.backendURL)
	fmt.Printf("Admin      %s\n", d.admin.username)
	fmt.Printf("Password   %s\n\n", d.admin.password)
	fmt.Printf("The backend is at %s, the OpenID provider at %s,\n", d.backendURL, d.issuer)
	fmt.Printf("a stand-in for Notion's API at %s. Press Ctrl+C to stop.\n", d.notionURL)
	<-ctx.Done()
	return nil
}
