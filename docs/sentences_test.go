package docs

import (
	"regexp"
	"strings"
	"testing"
)

var (
	sentenceEnds = regexp.MustCompile(`[.!?:;]["')\]*]*\s+|\n\s*\n|\n\s*[-*] |\n\s*\d+\. |\n#+ |\|`)
	notWords     = regexp.MustCompile(`[^\p{L}\p{N}]+`)
)

// sentences returns the words of each sentence with at least eight of them. What stands in code counts as
// words, too.
func sentences(p page) (all []string) {
	text, _, _ := strings.Cut(p.prose(), generatedMark) // many providers are alike
	text = linkText.ReplaceAllString(text, "$1")
	for _, sentence := range sentenceEnds.Split(text, -1) {
		words := strings.Fields(notWords.ReplaceAllString(strings.ToLower(sentence), " "))
		if len(words) >= 8 {
			all = append(all, strings.Join(words, " "))
		}
	}
	return all
}

// Nothing is said twice: of two copies one grows old.
func TestNoSentenceStandsTwice(t *testing.T) {
	t.Parallel()
	where := map[string]string{}
	for _, p := range pages(t) {
		for _, sentence := range sentences(p) {
			if before, found := where[sentence]; found {
				t.Errorf("this stands in %s and in %s: %s", before, p.path, sentence)
			}
			where[sentence] = p.path
		}
	}
}
