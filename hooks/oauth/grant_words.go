package oauth

import (
	"slices"
	"strings"
	"unicode"
)

// What a provider's sentence about a grant is made of. All words are in lower case.
var (
	// subjects are what may be dead.
	subjects = wordSet("token tokens refreshtoken grant authorization authorisation session")

	// otherTokens make a token one that is not the grant.
	otherTokens = wordSet("client csrf xsrf id api app application device registration verification bot " +
		"captcha push")

	// compounds make a subject a part of the name of something else: token endpoint, grant type.
	compounds = wordSet("type types endpoint url uri request requests header headers server scheme method " +
		"response issuer audience scope scopes limit count hint service params name")

	// deadStates say that a subject is no longer good, and liveStates that it is, unless they are negated.
	deadStates = wordSet("invalid bad unknown expired revoked wrong incorrect malformed inactive " +
		"unrecognized unrecognised reused consumed blacklisted invalidated")
	liveStates = wordSet("valid found active recognized recognised known exist exists accepted usable " +
		"correct decrypt decode parse verify")
	negations = wordSet("not no cannot cant couldnt doesnt isnt wasnt hasnt never")

	// before and after may stand between a state and its subject.
	before = wordSet("the a an any your this that such oauth oauth2 refresh access bearer provided " +
		"supplied " +
		"given specified submitted presented or and missing value for parameter param field of used " +
		"authorization")
	after = wordSet("the this in your you we it has have had is was are were be been being either now " +
		"already longer probably may might could can does do to or and that which missing value string " +
		"parameter field provided supplied given specified submitted presented passed sent used seems " +
		"appears grant by")

	// faults are what a state behind a subject may belong to instead: bad request.
	faults = wordSet("request requests client gateway redirect response credentials scope scopes")

	// otherSubjects are what a refusal is about that is not about the grant.
	otherSubjects = wordSet("client clients clientid app application secret scope scopes redirect rate " +
		"limit limits limited quota throttled throttling many temporarily unavailable maintenance timeout")
)

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// isOtherSubject reports whether a word is about something else than the grant.
func isOtherSubject(word string) bool { return otherSubjects[word] }

// reach is how many words may stand between a subject and its state. Some are both a subject and a word that
// may stand between, so without a bound a text of these alone would take quadratic time.
const reach = 20

// stop stands for the end of a sentence among words.
const stop = "."

// wordsOf returns the words of a text in lower case, with a stop after each sentence. BAD_REFRESH_TOKEN,
// bad-refresh-token and BadRefreshToken are three words each.
func wordsOf(text string) (words []string) {
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	var last rune
	for _, r := range text {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if unicode.IsUpper(r) && unicode.IsLower(last) {
				end()
			}
			word.WriteRune(unicode.ToLower(r))
		case r == '\'' || r == '’': // isn't
		default:
			end()
			isEnd := unicode.IsSpace(r) && strings.ContainsRune(".;!?", last)
			if isEnd || r == '\n' {
				words = append(words, stop)
			}
		}
		last = r
	}
	end()
	return words
}

// saysDead reports whether words say that a token, a grant or an authorization is no longer good: "unknown or
// invalid refresh token", "token has been revoked", "authorization grant is not valid".
func saysDead(words []string) bool {
	for i, word := range words {
		switch {
		case word == "grant" && i+1 < len(words) && words[i+1] == "type":
			return false // invalid value refresh_token for grant_type
		case !subjects[word] || (i > 0 && otherTokens[words[i-1]]):
			continue
		case stateBefore(words, i) || stateAfter(words[i+1:min(i+1+reach, len(words))], word):
			// A later grant type would make it another fault.
			return !hasGrantType(words[i:])
		}
	}
	return false
}

func hasGrantType(words []string) bool {
	i := slices.Index(words, "type")
	return i > 0 && words[i-1] == "grant"
}

// stateBefore reports whether a state stands before the subject at i and belongs to it.
func stateBefore(words []string, i int) bool {
	if i+1 < len(words) && compounds[words[i+1]] {
		return false
	}
	for farthest := max(0, i-reach); i > farthest; {
		i--
		word := words[i]
		switch {
		case deadStates[word]:
			return true
		case liveStates[word]:
			return slices.ContainsFunc(words[max(0, i-2):i], func(w string) bool { return negations[w] })
		case !before[word]:
			return false
		}
	}
	return false
}

// stateAfter reports whether the words behind a subject begin with what says that it is dead.
func stateAfter(words []string, subject string) bool {
	if len(words) > 0 && words[0] == "code" && strings.HasPrefix(subject, "authori") {
		words = words[1:]
	}
	negated, used := false, false
	for i, word := range words {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		inRequest := i > 0 && word == "request" && (words[i-1] == "the" || words[i-1] == "this")
		switch {
		case deadStates[word]:
			return !negated && !faults[next]
		case liveStates[word]:
			return negated
		case word == "used" && used:
			return !negated
		case negations[word]:
			negated = true
		case !after[word] && !inRequest:
			return false
		}
		used = used || word == "already"
	}
	return false
}
