package oauth

import (
	"bytes"
	"encoding/json"
	"encoding/json/jsontext"
	"errors"
	"io"
)

// jsonValue is a value of a JSON text, or the end of an object or an array.
type jsonValue struct {
	depth     int           // zero is the whole text
	name      string        // of the member; an element of an array has that of the array
	isElement bool          // of an array
	kind      jsontext.Kind // of the value, or '}' or ']'
	text      string        // of a string, or the digits of a number
	begin     int           // of a string or a number: where it begins in the text, in bytes
	end       int           // and where it ends
}

// container is an object or an array that is open.
type container struct {
	kind   jsontext.Kind
	name   string
	atName bool // a name comes next, or the end
}

// walkJSON visits the values of a JSON text in their order, and reports whether it is one value of JSON and
// nothing else. It takes linear time and no recursion. Like version 1 of encoding/json it accepts a byte
// order mark, duplicate names, and bytes that are not UTF-8, which providers do send.
func walkJSON(body []byte, visit func(jsonValue)) (isJSON bool) {
	text := bytes.TrimPrefix(body, []byte("\ufeff"))
	mark := len(body) - len(text)
	decoder := jsontext.NewDecoder(bytes.NewBuffer(text),
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	open := []container{{}} // the outermost stands for the text
	for {
		before := int(decoder.InputOffset())
		token, err := decoder.ReadToken()
		if err != nil {
			return false
		}
		kind, inside := token.Kind(), &open[len(open)-1]
		if inside.atName && kind == '"' {
			inside.name, inside.atName = token.String(), false
			continue
		}
		value := jsonValue{
			depth: len(open) - 1, name: inside.name, isElement: inside.kind == '[', kind: kind,
		}
		switch kind {
		case '{', '[':
			visit(value)
			open = append(open, container{kind: kind, name: value.name, atName: kind == '{'})
			continue
		case '}', ']':
			open = open[:len(open)-1]
			inside = &open[len(open)-1]
			value.depth, value.name = len(open)-1, inside.name
			value.isElement = inside.kind == '['
		case '"', '0':
			value.text = token.String()
			value.end = mark + int(decoder.InputOffset())
			between := len(text[before:]) - len(bytes.TrimLeft(text[before:], " \t\r\n,:"))
			value.begin = mark + before + between
		}
		visit(value)
		inside.atName = inside.kind == '{'
		if len(open) == 1 {
			_, err = decoder.ReadToken()
			return errors.Is(err, io.EOF)
		}
	}
}

// jsonObject decodes one JSON object, without a byte order mark if there is one. Version 1 of the package
// takes what providers send: duplicate names, and bytes that are not UTF-8.
func jsonObject(body []byte) (map[string]json.RawMessage, bool) {
	var object map[string]json.RawMessage
	err := json.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &object)
	return object, err == nil && object != nil
}
