import react from "@vitejs/plugin-react"
import { defineConfig } from "vite"
import framer from "vite-plugin-framer"
import mkcert from "vite-plugin-mkcert"

export default defineConfig({
	plugins: [react(), mkcert(), framer()],
	// The client is linked from its own folder, and must not look for React there.
	resolve: { dedupe: ["react"] },
})
