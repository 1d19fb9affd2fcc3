/** How long a request may take, in milliseconds. A poll may take this much longer than it asks to be held. */
export const requestTimeout = 15_000

/**
 * Makes a signal that follows an outer signal, and a function that aborts it, and that must be called at the
 * end: then it follows no more.
 */
export function linkedSignal(outer: AbortSignal | undefined) {
	const controller = new AbortController()
	const { signal } = controller
	const abort = () => controller.abort()
	outer?.addEventListener("abort", abort, { signal })
	if (outer?.aborted) abort()
	return [signal, abort] as const
}

/** Runs a task whose signal is aborted after some milliseconds, with the outer signal, and at the end. */
export async function withTimeout<T>(
	milliseconds: number, outer: AbortSignal | undefined, task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
	const [signal, abort] = linkedSignal(outer)
	const timer = setTimeout(abort, milliseconds)
	try {
		return await task(signal)
	} finally {
		clearTimeout(timer)
		abort()
	}
}

/** Waits for some milliseconds, or until the outer signal is aborted. Never rejects. */
export const pause = (milliseconds: number, outer?: AbortSignal) => withTimeout(milliseconds, outer,
	signal => orAborted(new Promise(() => {}), signal)).catch(() => {})

/** Settles as a promise does, or when a signal that is nobody else's is aborted, with its reason. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
	return new Promise((resolve, reject) => {
		promise.then(resolve, reject)
		signal.onabort = () => reject(signal.reason)
		signal.throwIfAborted()
	})
}
