/**
 * How many sign-ins are still under way.
 * @param {Counts} counts
 */
export function underWay(counts) {
	return Math.max(0, counts.started - counts.claimed - counts.denied - counts.failed - counts.expired)
}

/**
 * The sum of all rows.
 * @param {Counts[]} rows
 */
export function total(rows) {
	/** @type {Counts} */
	const sum = { started: 0, redirected: 0, finished: 0, claimed: 0, denied: 0, failed: 0, expired: 0 }
	for (const row of rows) {
		for (const name of /** @type {(keyof Counts)[]} */ (Object.keys(sum))) sum[name] += row[name]
	}
	return sum
}
