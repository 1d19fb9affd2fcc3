// Command demo shows a whole login on this machine, with no account anywhere: the relay on a temporary folder, a real
// OpenID provider, and a page that does what a Framer plugin does.
//
//	go run ./examples/demo         # open the printed address and sign in
//	go run ./examples/demo -once   # sign in by itself over HTTP, print each step, exit 0 or 1
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
	flag.Parse()
	if err := run(*once); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(once bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	// Plugins under development look for their backend at this port, and examples/framer-plugin for its provider at the next.
	relay, provider := "127.0.0.1:8787", "127.0.0.1:8788"
	if once {
		relay, provider = anyPort, anyPort
	}
	demo, err := start(relay, provider, "")
	if err != nil {
		return err
	}
	defer demo.stop()

	if once {
		return signIn(ctx, os.Stdout, demo)
	}
	fmt.Printf("Plugin     %s\n", demo.pluginURL)
	fmt.Printf("Username   %s\n", demo.username)
	fmt.Printf("Password   %s\n\n", demo.password)
	fmt.Printf("Dashboard  %s/_/\n", demo.relayURL)
	fmt.Printf("Admin      %s\n", demo.adminEmail)
	fmt.Printf("Password   %s\n\n", demo.adminPassword)
	fmt.Printf("The relay is at %s, the OpenID provider at %s. Press Ctrl+C to stop.\n", demo.relayURL, demo.issuer)
	<-ctx.Done()
	return nil
}
