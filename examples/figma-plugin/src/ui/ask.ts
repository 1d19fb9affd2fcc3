import type { Answer, Question, Request } from "../messages"

const unanswered = new Map<number, (answer: Answer) => void>()
let last = 0

addEventListener("message", ({ data }: MessageEvent<{ pluginMessage?: Answer } | null>) => {
	const answer = data?.pluginMessage
	if (!answer) return
	unanswered.get(answer.id)?.(answer)
	unanswered.delete(answer.id)
})

/** Asks the code beside the document. Rejects if that fails there. */
export function ask(request: Request): Promise<unknown> {
	const question: Question = { id: ++last, request }
	return new Promise((resolve, reject) => {
		unanswered.set(question.id, ({ value, error }) => error ? reject(new Error(error)) : resolve(value))
		parent.postMessage({ pluginMessage: question }, "*") // only Figma shows this page
	})
}
