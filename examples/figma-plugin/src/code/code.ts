// This half runs beside the document. It has figma, and neither a page nor OAuth.
import type { Answer, Question, Request } from "../messages"
import { addCard } from "./card"

figma.showUI(__html__, { width: 280, height: 236, themeColors: true })

figma.ui.onmessage = async ({ id, request }: Question) => {
	if (request.type === "close") return figma.closePlugin() // nobody is left to be answered
	let answer: Answer
	try {
		answer = { id, value: await carryOut(request) }
	} catch (error) {
		answer = { id, error: String(error) }
	}
	figma.ui.postMessage(answer)
}

function carryOut(request: Exclude<Request, { type: "close" }>): unknown {
	switch (request.type) {
		case "getItem":
			return figma.clientStorage.getAsync(request.key)
		case "setItem":
			return figma.clientStorage.setAsync(request.key, request.value)
		case "removeItem":
			return figma.clientStorage.deleteAsync(request.key)
		case "open":
			return figma.openExternal(request.url)
		case "addCard":
			return addCard(request.person)
	}
}
