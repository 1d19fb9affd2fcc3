// Package typo finds the word that somebody meant who mistyped it.
package typo

// maxDistance bounds how many characters of a long word may be wrong.
const maxDistance = 3

// Nearest returns the known words that are nearest to a mistyped one, in their order. A third of the shorter
// of the two may be wrong, and 3 characters at most. It returns nil if no known word is so near.
func Nearest(word string, known []string) (nearest []string) {
	least := maxDistance
	for _, candidate := range known {
		limit := min(least, len(word)/3, len(candidate)/3)
		if max(len(word)-len(candidate), len(candidate)-len(word)) > limit {
			continue // without comparing it, since a stranger's word may be very long
		}
		distance := Distance(word, candidate)
		if distance > limit {
			continue
		}
		if distance < least {
			nearest = nil
		}
		least, nearest = distance, append(nearest, candidate)
	}
	return nearest
}

// Distance returns how many bytes must be added, left out or replaced, or exchanged with their neighbors, to
// make one word of another. Each may be changed once only (the optimal string alignment distance).
func Distance(a, b string) int {
	// above[j] is the distance of the first i bytes of a to the first j of b; twoAbove is that of i-1.
	var twoAbove []int
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			replaced := above[j]
			if a[i] != b[j] {
				replaced++
			}
			row[j+1] = min(replaced, above[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], twoAbove[j-1]+1)
			}
		}
		twoAbove, above = above, row
	}
	return above[len(b)]
}

// Compact returns a word without what people write differently: in lower case, and of its ASCII characters
// the letters and digits only.
func Compact(word string) string {
	compact := make([]byte, 0, len(word))
	for _, c := range []byte(word) {
		switch {
		case 'A' <= c && c <= 'Z':
			compact = append(compact, c+'a'-'A')
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c >= 0x80:
			compact = append(compact, c)
		}
	}
	return string(compact)
}
