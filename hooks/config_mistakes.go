package hooks

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/go-envparse"

	"plugin-oauth/hooks/doctor"
	"plugin-oauth/internal/typo"
)

// mistakes returns what looks like a mistake in .env and in the variables of this process, and is valid all
// the same. It quotes no value.
func (e environment) mistakes() (found []doctor.Finding) {
	known := variableNames()
	for i, line := range e.lines {
		parsed, _ := envparse.Parse(strings.NewReader(line)) // readEnvironment has reported an error
		for name, value := range parsed {
			where := fmt.Sprintf("in .env, line %d,", i+1)
			if !slices.Contains(known, name) {
				found = append(found, mistakenName(where, name, nearestVariables(name, known))...)
				continue
			}
			found = append(found, mistakesOfValue(where, name, value)...)
			if _, raw, _ := strings.Cut(line, "="); isCutByHash(raw) {
				found = append(found, warning("The value of "+name+" "+where+" ends before a #.",
					"What comes after it is taken for a comment.",
					"Put the value between single quotes. If it is a comment, put a space before the #."))
			}
		}
	}
	const where = "in the environment"
	for _, variable := range slices.Sorted(slices.Values(os.Environ())) {
		name, value, _ := strings.Cut(variable, "=")
		if slices.Contains(known, name) {
			found = append(found, mistakesOfValue(where, name, value)...)
			continue
		}
		meant := slices.DeleteFunc(nearestVariables(name, known), func(meant string) bool {
			return os.Getenv(meant) != "" || !isSurelyOurs(name, meant)
		})
		found = append(found, mistakenName(where, name, meant)...)
	}
	return found
}

func warning(what, why, fix string) doctor.Finding {
	return doctor.Finding{Level: doctor.LevelWarning, What: what, Why: why, Fix: fix}
}

// variableNames returns the names of all variables that the service and its commands read.
func variableNames() []string {
	names := []string{"NEW_ENCRYPTION_KEY"}
	_, _ = configFrom(func(name string) string {
		names = append(names, name)
		return "" // none of which is wrong
	})
	return names
}

// othersVariables are names that other programs read, and that are near one of ours.
var othersVariables = []string{"SSL_CERT_FILE", "SSL_KEY_FILE", "TOKEN"}

// sameWords are words that mean the same in the names of variables.
var sameWords = map[string]string{
	"ADDRESS":       "ADDR",
	"ADMIN":         "SUPERUSER",
	"AUTH":          "AUTHORIZE",
	"AUTHORISATION": "AUTHORIZE",
	"AUTHORISE":     "AUTHORIZE",
	"AUTHORIZATION": "AUTHORIZE",
	"CALLBACK":      "REDIRECT",
	"ENDPOINT":      "URI",
	"PASS":          "PASSWORD",
	"URL":           "URI",
}

// nearestVariables returns the known names that are the nearest to another, if any is near.
func nearestVariables(name string, known []string) []string {
	if slices.Contains(othersVariables, name) {
		return nil
	}
	inSameWords := func(name string) string {
		words := strings.Split(strings.ToUpper(name), "_")
		for i, word := range words {
			if same, found := sameWords[word]; found {
				words[i] = same
			}
		}
		return typo.Compact(strings.Join(words, ""))
	}
	for _, spell := range []func(string) string{typo.Compact, inSameWords} {
		spelled := make([]string, len(known))
		for i, each := range known {
			spelled[i] = spell(each)
		}
		nearest := typo.Nearest(spell(name), spelled)
		isNear := func(each string) bool { return slices.Contains(nearest, spell(each)) }
		if len(nearest) > 0 {
			return slices.DeleteFunc(slices.Clone(known), func(each string) bool { return !isNear(each) })
		}
	}
	return nil
}

// isSurelyOurs reports whether a variable of this process was meant to be one of ours. Most of them are set
// by others, for other programs: so it is the plural of ours, or several words that are the same but for
// underscores and the case, or differs in one letter from a long name.
func isSurelyOurs(name, meant string) bool {
	const long = 9 // API_HOST and CLIENT_IP are others'
	spelled := typo.Compact(meant)
	distance := typo.Distance(typo.Compact(name), spelled)
	return name == meant+"S" || distance == 0 && strings.Contains(meant, "_") ||
		distance == 1 && len(spelled) >= long
}

func mistakenName(where, name string, meant []string) []doctor.Finding {
	if len(meant) == 0 {
		return nil
	}
	return []doctor.Finding{warning(name+" "+where+" is not a variable of plugin-oauth.",
		"It changes nothing.", "If "+strings.Join(meant, " or ")+" is meant, write that instead.")}
}

// readNames are the variables whose value people read. They may have characters that join words or letters.
var readNames = []string{"PLUGIN_NAME", "RETURN_APP"}

// joiners are a name's: spaces that do not break, and what stands within emoji and between some letters.
const joiners = "\u00a0\u202f\u3000\u200c\u200d\ufe0f"

// mistakesOfValue finds what was not meant to be part of a value.
func mistakesOfValue(where, name, value string) (found []doctor.Finding) {
	value = strings.TrimSpace(value) // as it is used
	judged, isFree := value, name == "SUPERUSER_PASSWORD"
	if slices.Contains(readNames, name) {
		judged, isFree = withoutJoiners(value), true
	}
	if r, is := firstInvisible(judged); is {
		found = append(found, warning(
			fmt.Sprintf("The value of %s %s has an invisible character (%U).", name, where, r),
			"It counts as a part of the value.",
			"Delete the character, or type the value again instead of pasting it."))
	}
	if isQuoted(value) || !isFree && strings.ContainsFunc(value, isCurlyQuote) {
		found = append(found, warning(
			"The value of "+name+" "+where+" has quotes that count as a part of it.",
			"Quotes are taken off only in .env, and only straight ones.",
			"Take them away. A value with spaces needs none."))
	}
	return found
}

func withoutJoiners(value string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(joiners, r) {
			return -1
		}
		return r
	}, value)
}

// firstInvisible returns the first character of a text that nobody sees, or takes for a plain space.
func firstInvisible(text string) (r rune, found bool) {
	i := strings.IndexFunc(text, func(r rune) bool {
		const brailleBlank = '\u2800'
		return !unicode.IsPrint(r) || r == brailleBlank ||
			unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
	})
	if i < 0 {
		return 0, false
	}
	return []rune(text[i:])[0], true
}

// isCurlyQuote reports whether a character is a quote that word processors make of a straight one.
func isCurlyQuote(r rune) bool {
	return unicode.In(r, unicode.Pi, unicode.Pf) || strings.ContainsRune("‚„", r)
}

// isQuoted reports whether a value stands between quotes of any kind.
func isQuoted(value string) bool {
	runes := []rune(value)
	if len(runes) < 2 {
		return false
	}
	first, last := runes[0], runes[len(runes)-1]
	return isCurlyQuote(first) && isCurlyQuote(last) || first == last && strings.ContainsRune("'\"`", first)
}

// isCutByHash reports whether a value as it stands in .env ends at a # that does not look like the beginning
// of a comment: one without a space before it.
func isCutByHash(value string) bool {
	value = strings.Trim(value, " \t\r")
	var quote rune
	escaped := false
	for i, r := range value {
		switch {
		case escaped:
			escaped = false
		case quote == '"' && r == '\\':
			escaped = true
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '#' && i == 0:
			// Right behind the =, a comment has a space after its #.
			return len(value) > 1 && !strings.ContainsAny(value[1:2], " \t#")
		case r == '#':
			return !strings.ContainsAny(value[i-1:i], " \t")
		}
	}
	return false
}
