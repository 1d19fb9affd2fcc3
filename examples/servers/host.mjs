// What the servers of this folder have in common: they listen at the address that is their first argument,
// and their second is their settings in JSON. GET /clock?seconds=N turns their clock forward, and GET
// /count?path=P says how many requests have come to a path.
import { createServer } from "node:http"

const [, , address, json] = process.argv

export const origin = "http://" + address
export const settings = JSON.parse(json)

const realNow = Date.now
let ahead = 0
Date.now = () => realNow() + ahead

export function listen(handler) {
	const counts = {}
	const [host, port] = address.split(":")
	createServer((request, response) => {
		const { pathname, searchParams } = new URL(request.url, origin)
		switch (pathname) {
			case "/clock":
				ahead += Number(searchParams.get("seconds")) * 1000
				return response.end()
			case "/count":
				return response.end(String(counts[searchParams.get("path")] ?? 0))
		}
		counts[pathname] = (counts[pathname] ?? 0) + 1
		handler(request, response)
	}).listen(port, host)
}
