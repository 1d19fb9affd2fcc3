// Package client has the plugin's side of a login as browsers load it. It is made from src by npm run build.
package client

import _ "embed"

// JavaScript is the module, and Types are its declarations for TypeScript.
var (
	//go:embed dist/client.js
	JavaScript []byte
	//go:embed dist/client.d.ts
	Types []byte
)
