package views

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// Language is one that the pages are written in. [LanguageFor] returns it; the zero value is none.
type Language struct {
	tag   language.Tag
	words Words
}

// languages are those that there are. The first is for whoever reads none of them.
var languages = []Language{
	{tag: language.English, words: english{}},
	{tag: language.German, words: german{}},
	{tag: language.French, words: french{}},
	{tag: language.Spanish, words: spanish{}},
	{tag: language.Portuguese, words: portuguese{}},
	{tag: language.Italian, words: italian{}},
	{tag: language.Dutch, words: dutch{}},
	{tag: language.Polish, words: polish{}},
	{tag: language.Turkish, words: turkish{}},
	{tag: language.Ukrainian, words: ukrainian{}},
	{tag: language.Russian, words: russian{}},
	{tag: language.Arabic, words: arabic{}},
	{tag: language.Hebrew, words: hebrew{}},
	{tag: language.Hindi, words: hindi{}},
	{tag: language.Indonesian, words: indonesian{}},
	{tag: language.Vietnamese, words: vietnamese{}},
	{tag: language.Japanese, words: japanese{}},
	{tag: language.Korean, words: korean{}},
	{tag: language.SimplifiedChinese, words: simplifiedChinese{}},
	{tag: language.TraditionalChinese, words: traditionalChinese{}},
}

var matcher = newMatcher()

func newMatcher() language.Matcher {
	tags := make([]language.Tag, 0, len(languages))
	for _, l := range languages {
		tags = append(tags, l.tag)
	}
	return language.NewMatcher(tags)
}

// Languages returns all languages. The first is English.
func Languages() []Language { return slices.Clone(languages) }

// maxAcceptLanguage bounds what is read of the header, in bytes. Browsers send less than 100. Strangers send
// it, too, and matching costs more than anything else about a page.
const maxAcceptLanguage = 200

// LanguageFor returns the language that suits the header Accept-Language best (RFC 9110 section 12.5.4), or
// English. Of a long header it reads the beginning. What it cannot read, it leaves out.
func LanguageFor(acceptLanguage string) Language {
	if len(acceptLanguage) > maxAcceptLanguage {
		acceptLanguage = acceptLanguage[:maxAcceptLanguage]
		acceptLanguage = acceptLanguage[:max(0, strings.LastIndexByte(acceptLanguage, ','))]
	}
	type wish struct {
		tag     language.Tag
		quality float32
	}
	var wishes []wish
	for item := range strings.SplitSeq(acceptLanguage, ",") {
		// Given the whole header, it would return nothing if one item is malformed.
		tags, qualities, err := language.ParseAcceptLanguage(item)
		if err == nil && len(tags) == 1 {
			wishes = append(wishes, wish{tag: tags[0], quality: qualities[0]})
		}
	}
	slices.SortStableFunc(wishes, func(a, b wish) int { return cmp.Compare(b.quality, a.quality) })
	tags := make([]language.Tag, 0, len(wishes))
	for _, wish := range wishes {
		tags = append(tags, wish.tag)
	}
	_, index, confidence := matcher.Match(tags...)
	if confidence == language.No {
		index = 0
	}
	return languages[index]
}

// Tag returns the language's tag (RFC 5646), such as zh-Hant.
func (l Language) Tag() string { return l.tag.String() }

// Words are what the pages say in the language.
func (l Language) Words() Words { return l.words }

// dir is the direction that the language is written in, as the attribute dir has it.
func (l Language) dir() string {
	if l.tag == language.Arabic || l.tag == language.Hebrew {
		return "rtl"
	}
	return "ltr"
}
