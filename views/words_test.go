package views

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/language"

	"plugin-oauth/hooks/oauth"
)

// sentences returns all that a language says, by the names of the methods.
func sentences(words Words) map[string]string {
	said := map[string]string{}
	value := reflect.ValueOf(words)
	for i := range value.NumMethod() {
		name := value.Type().Method(i).Name
		if name == "Ago" {
			for _, minutes := range []int{0, 1, 2, 3, 5, 11, 21, 22, 25, 101, 1440} {
				said[fmt.Sprint(name, minutes)] = words.Ago(minutes)
			}
			continue
		}
		said[name] = value.Method(i).Call(nil)[0].String()
	}
	return said
}

var placeholder = regexp.MustCompile(`\{[a-z]*\}`)

// placeholders returns what a sentence leaves open, in the order of the alphabet.
func placeholders(sentence string) []string {
	found := placeholder.FindAllString(sentence, -1)
	slices.Sort(found)
	return found
}

// Every language says everything, leaves open for names what English does, and nothing of it is left in
// English.
func TestWords(t *testing.T) {
	t.Parallel()
	reference := sentences(english{})
	for _, l := range languages {
		t.Run(l.Tag(), func(t *testing.T) {
			t.Parallel()
			for name, sentence := range sentences(l.words) {
				if want := placeholders(reference[name]); !slices.Equal(placeholders(sentence), want) {
					t.Errorf("%s has %v, want %v: %s", name, placeholders(sentence), want, sentence)
				}
				if l.words != Words(english{}) && sentence == reference[name] {
					t.Errorf("%s is in English", name)
				}
				expectText(t, name, sentence)
				if ends := endsSentence(sentence); ends != endsSentence(reference[name]) {
					t.Errorf("%s: ends as a sentence: %t: %s", name, ends, sentence)
				}
			}
		})
	}
}

// expectText checks that a text can stand in a page: nothing invisible that turns the direction, no spaces
// too many, and no markup.
func expectText(t *testing.T, name, text string) {
	t.Helper()
	if text == "" || strings.TrimSpace(text) != text || strings.Contains(text, "  ") ||
		strings.ContainsAny(text, "<>&\"\n\t%") {
		t.Errorf("%s is %q", name, text)
	}
	for _, r := range text {
		if unicode.Is(unicode.Cf, r) {
			t.Errorf("%s has the character %U", name, r)
		}
	}
}

// endsSentence reports whether a text ends as a sentence does.
func endsSentence(text string) bool {
	return strings.HasSuffix(text, ".") || strings.HasSuffix(text, "。") || strings.HasSuffix(text, "।")
}

// The words of a language are written in its own script.
func TestScripts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		tag    language.Tag
		script *unicode.RangeTable
	}{
		{tag: language.Ukrainian, script: unicode.Cyrillic},
		{tag: language.Russian, script: unicode.Cyrillic},
		{tag: language.Arabic, script: unicode.Arabic},
		{tag: language.Hebrew, script: unicode.Hebrew},
		{tag: language.Hindi, script: unicode.Devanagari},
		{tag: language.Korean, script: unicode.Hangul},
	} {
		index := slices.IndexFunc(languages, func(l Language) bool { return l.tag == test.tag })
		for name, sentence := range sentences(languages[index].words) {
			for _, r := range placeholder.ReplaceAllString(sentence, "") {
				if unicode.IsLetter(r) && !unicode.In(r, test.script, unicode.Common) {
					t.Errorf("%s of %s has %q", name, test.tag, r)
				}
			}
		}
	}
}

// The plural depends on the number.
func TestAgo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		words   Words
		minutes int
		want    string
	}{
		{words: polish{}, minutes: 2, want: "2 minuty temu"},
		{words: polish{}, minutes: 5, want: "5 minut temu"},
		{words: polish{}, minutes: 12, want: "12 minut temu"},
		{words: polish{}, minutes: 22, want: "22 minuty temu"},
		{words: russian{}, minutes: 21, want: "21 минуту назад"},
		{words: russian{}, minutes: 3, want: "3 минуты назад"},
		{words: russian{}, minutes: 11, want: "11 минут назад"},
		{words: ukrainian{}, minutes: 31, want: "31 хвилину тому"},
		{words: ukrainian{}, minutes: 4, want: "4 хвилини тому"},
		{words: ukrainian{}, minutes: 14, want: "14 хвилин тому"},
		{words: arabic{}, minutes: 2, want: "قبل دقيقتين"},
		{words: arabic{}, minutes: 7, want: "قبل 7 دقائق"},
		{words: arabic{}, minutes: 15, want: "قبل 15 دقيقة"},
		{words: german{}, minutes: 2, want: "vor 2 Minuten"},
	} {
		if got := test.words.Ago(test.minutes); got != test.want {
			t.Errorf("%d minutes are %q, want %q", test.minutes, got, test.want)
		}
	}
}

// A person is told of each error what the table of errors says, and only what stands in it.
func TestSentenceOf(t *testing.T) {
	t.Parallel()
	// A page shows these two only if a provider sends the browser back with the error of a revocation.
	elsewhere := []oauth.Meaning{oauth.NotRevoked, oauth.OtherTokenType}
	for meaning := oauth.Refused; meaning <= oauth.ConsentRequired; meaning++ {
		sentence := SentenceOf(meaning)
		if sentence == nil {
			t.Errorf("the meaning %d has no sentence", meaning)
			continue
		}
		want := meaning.ForPerson()
		if slices.Contains(elsewhere, meaning) {
			want = oauth.Refused.ForPerson()
		}
		if got := sentence(english{}); got != want {
			t.Errorf("the meaning %d says %q, want %q", meaning, got, want)
		}
	}
}

func TestLanguageFor(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"":                                     "en",
		"en-US,en;q=0.9":                       "en",
		"de":                                   "de",
		"de-AT,de;q=0.9,en;q=0.8":              "de",
		"fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7":  "fr",
		"en;q=0.5,it;q=0.7":                    "it",
		"pt-PT":                                "pt",
		"pt-BR":                                "pt",
		"es-419":                               "es",
		"zh":                                   "zh-Hans",
		"zh-CN":                                "zh-Hans",
		"zh-SG":                                "zh-Hans",
		"zh-TW":                                "zh-Hant",
		"zh-HK":                                "zh-Hant",
		"zh-Hant-TW;q=0.9,en;q=0.1":            "zh-Hant",
		"iw":                                   "he", // as old systems say
		"in":                                   "id",
		"nb-NO,nb;q=0.9":                       "en",
		"uk-UA,uk;q=0.9,ru;q=0.8":              "uk",
		"tlh,ja;q=0.5":                         "ja",
		"xx,ko":                                "ko",
		"!!!,vi;q=0.3":                         "vi", // what cannot be read is left out
		"de;q=oops,tr":                         "tr",
		"*":                                    "en",
		"*;q=0.1,pl;q=0.5":                     "pl",
		"de;q=0":                               "en",
		"DE-de":                                "de",
		"ar-EG":                                "ar",
		"hi-IN,en;q=0.1":                       "hi",
		"nl-BE":                                "nl",
		strings.Repeat("en-GB;q=0.1,", 30):     "en",
		"de," + strings.Repeat("x", 40_000):    "de", // of a long one the beginning counts
		strings.Repeat("x", 40_000) + ",de":    "en",
		strings.Repeat("aa-", 10_000):          "en",
		"de-" + strings.Repeat("a-", 90) + ",": "en",
	} {
		if got := LanguageFor(header).Tag(); got != want {
			t.Errorf("%.60q: got %s, want %s", header, got, want)
		}
	}
}

func FuzzLanguageFor(f *testing.F) {
	for _, header := range []string{
		"", "de-CH,en;q=0.5", "zh-Hant-TW", "*;q=0", "x-a-b", "en-u-co-phonebk", "i-default",
	} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := LanguageFor(header)
		if got.words == nil {
			t.Errorf("%q has no language", header)
		}
	})
}

func BenchmarkLanguageFor(b *testing.B) {
	for name, header := range map[string]string{
		"browser": "de-CH,de;q=0.9,en-US;q=0.8,en;q=0.7", "hostile": strings.Repeat("tlh-Aa,", 1000),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				LanguageFor(header)
			}
		})
	}
}
