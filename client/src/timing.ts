/** How long a request may take, in milliseconds. A poll may take this much longer than it asks to be held. */
export const requestTimeout = 15_000

/**
 * Makes a signal that follows an outer signal, a function that aborts it, and one that stops the following.
 */
export function linkedSignal(outer: AbortSignal | undefined) {
	const controller = new AbortController()
	const abort = () => controller.abort()
	outer?.addEventListener("abort", abort)
	if (outer?.aborted) abort()
	return [controller.signal, abort, () => outer?.removeEventListener("abort", abort)] as const
}

/**
 * Runs a task whose signal is aborted after some milliseconds, or with the outer signal. Leaves no timer and
 * no listener behind.
 */
export async function withTimeout<T>(
	milliseconds: number, outer: AbortSignal | undefined, task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
	const [signal, abort, unlink] = linkedSignal(outer)
	const timer = setTimeout(abort, milliseconds)
	try {
		return await task(signal)
	} finally {
		clearTimeout(timer)
		unlink()
	}
}

/** Waits for some milliseconds, or until the outer signal is aborted. Never rejects. */
export const pause = (milliseconds: number, outer?: AbortSignal) => withTimeout(milliseconds, outer, signal =>
	new Promise<unknown>(resolve => signal.aborted ? resolve(0) : signal.addEventListener("abort", resolve)))
