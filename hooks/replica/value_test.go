package replica

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/pocketbase/dbx"
)

// Each value arrives as it is, and with its type.
func TestValues(t *testing.T) {
	t.Parallel()
	machines := newCluster(t, "a", "b")
	a, b := machines[0], machines[1]
	expectEqual(t, a, b)
	b.Close()
	for name, expression := range map[string]string{
		"null": "NULL", "integer": "9223372036854775807", "negative": "-1", "real": "0.1", "large": "1e300",
		"text": "'<é\u2028\"&>'", "digits": "'1'", "blank": "''", "zero byte": "CAST(X'00410041' AS TEXT)",
		"invalid UTF-8": "CAST(X'ff41fe' AS TEXT)", "bytes": "X'00ff00'", "no bytes": "X''",
	} {
		a.behind("INSERT INTO plugins (id, slug, sealedSecret) VALUES (lower(hex(randomblob(7))), {:name}, "+
			expression+")", dbx.Params{"name": name})
	}
	for _, m := range []*machine{a, b} {
		// The driver makes a time of what is in such a column.
		m.behind("ALTER TABLE plugins ADD COLUMN day DATETIME", nil)
	}
	a.behind("UPDATE plugins SET day = '2026-01-02 03:04:05.678Z'", nil)
	a.Close()
	a, b = a.reopen(), b.reopen()
	a.start(2)
	b.start(2)
	if days := b.column("plugins", "(day || '')"); days[0] != "2026-01-02 03:04:05.678Z" {
		t.Errorf("b has the day %s", days[0])
	}
	const types = "slug || ' ' || typeof(sealedSecret) || ' ' || ifnull(hex(sealedSecret), '')"
	if sent, got := a.column("plugins", types), b.column("plugins", types); !reflect.DeepEqual(sent, got) {
		t.Errorf("b has %q\nwant %q", got, sent)
	}
	if !equal(a.rows(), b.rows()) {
		t.Error("the machines differ")
	}
}

func TestEncodeValue(t *testing.T) {
	t.Parallel()
	for _, value := range []any{
		nil, int64(math.MinInt64), math.MaxFloat64, 0.1, "", "text", "\xff\x00", []byte("\xff\x00"), []byte{},
	} {
		encoded, err := encodeValue(value)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := decodeValue(encoded)
		if err != nil || !reflect.DeepEqual(decoded, value) {
			t.Errorf("%#v becomes %#v: %v", value, decoded, err)
		}
	}
	for _, newer := range []string{"", "z123"} {
		if _, err := decodeValue(newer); !errors.Is(err, errNewerVersion) {
			t.Errorf("%q: %v", newer, err)
		}
	}
}
