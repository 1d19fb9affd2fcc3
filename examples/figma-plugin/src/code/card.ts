import type { Person } from "../messages"

const bold: FontName = { family: "Inter", style: "Bold" }
const regular: FontName = { family: "Inter", style: "Regular" }

/** Puts a card with the person's name into the middle of what is in view, and selects it. */
export async function addCard({ name, email }: Person) {
	await Promise.all([figma.loadFontAsync(bold), figma.loadFontAsync(regular)])
	const card = figma.createFrame()
	card.name = "Name card"
	card.layoutMode = "VERTICAL"
	card.layoutSizingHorizontal = card.layoutSizingVertical = "HUG"
	card.horizontalPadding = card.verticalPadding = 24
	card.itemSpacing = 4
	card.cornerRadius = 12
	card.fills = [figma.util.solidPaint("#ffffff")]
	card.strokes = [figma.util.solidPaint("#e6e6e6")]
	if (name) card.appendChild(line(name, bold, 24))
	if (email) card.appendChild(line(email, regular, 14))

	const { x, y } = figma.viewport.center
	card.x = Math.round(x - card.width / 2)
	card.y = Math.round(y - card.height / 2)
	figma.currentPage.selection = [card]
}

function line(words: string, font: FontName, size: number) {
	const text = figma.createText()
	text.fontName = font
	text.fontSize = size
	text.characters = words
	return text
}
