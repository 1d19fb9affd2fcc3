package replica

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// A value of SQLite is a text whose first letter is the value's type, and whose rest is the value.
const (
	typeNull    = 'n'
	typeInteger = 'i'
	typeReal    = 'r'
	typeText    = 't'
	typeBytes   = 'x' // of a text that is not valid UTF-8, which JSON could not carry: in base64
	typeBlob    = 'b' // in base64
)

// blanks are the values of a column that nobody has filled.
var blanks = []string{"n", "i0", "r0", "t", "x", "b"}

func isBlank(value string) bool { return slices.Contains(blanks, value) }

func encodeValue(value any) (string, error) {
	switch value := value.(type) {
	case nil:
		return string(typeNull), nil
	case int64:
		return string(typeInteger) + strconv.FormatInt(value, 10), nil
	case float64:
		return string(typeReal) + strconv.FormatFloat(value, 'g', -1, 64), nil
	case []byte:
		return string(typeBlob) + base64.StdEncoding.EncodeToString(value), nil
	case string:
		if !utf8.ValidString(value) {
			return string(typeBytes) + base64.StdEncoding.EncodeToString([]byte(value)), nil
		}
		return string(typeText) + value, nil
	default:
		return "", fmt.Errorf("a value of SQLite is a %T", value)
	}
}

// errNewerVersion says that a value has a type that this version does not know.
var errNewerVersion = errors.New("a newer version of the service has written it; " +
	"this machine needs that version, too")

func decodeValue(encoded string) (any, error) {
	if encoded == "" {
		return nil, errNewerVersion
	}
	switch text := encoded[1:]; encoded[0] {
	case typeNull:
		return nil, nil
	case typeInteger:
		return strconv.ParseInt(text, 10, 64)
	case typeReal:
		return strconv.ParseFloat(text, 64)
	case typeText:
		return text, nil
	case typeBytes:
		bytes, err := base64.StdEncoding.DecodeString(text)
		return string(bytes), err
	case typeBlob:
		return base64.StdEncoding.DecodeString(text)
	default:
		return nil, errNewerVersion
	}
}

// record is the value of a key.
type record struct {
	// By is a nonce of the write. Who finds their own has written it, though the answer was lost.
	By  string `json:"by"`
	Row row    `json:"row"`
}

func (r record) encode() (string, error) {
	encoded, err := json.Marshal(r)
	return string(encoded), err
}

func decodeRecord(encoded []byte) (decoded record, err error) {
	err = json.Unmarshal(encoded, &decoded)
	if err == nil && decoded.Row == nil {
		err = errNewerVersion
	}
	return decoded, err
}
