import "framer-plugin/framer.css"
import { framer } from "framer-plugin"
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { App } from "./App"

void framer.showUI({ width: 260, height: 200 })

createRoot(document.getElementById("root")!).render(<StrictMode><App /></StrictMode>)
