package cluster

import (
	"maps"
	"strings"
	"testing"
)

func TestParseMachines(t *testing.T) {
	t.Parallel()
	got, err := ParseMachines("a=host-a:2380, b=10.0.0.2:2380,machine-3=[fd00::3]:2381")
	want := map[string]string{"a": "host-a:2380", "b": "10.0.0.2:2380", "machine-3": "[fd00::3]:2381"}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("the machines are %v, %v", got, err)
	}
	for list, want := range map[string]string{
		"":                        "is no machine",
		"host-a:2380":             "is no machine",
		"a b=host:2380":           "is no machine",
		"a=host":                  "is no address",
		"a=:2380":                 "is no address",
		"a=host:0":                "is no address",
		"a=host:65536":            "is no address",
		"a=https://host:2380":     "is no address",
		"a=host:2380,":            "is no machine",
		"a=host:2380,a=other:1":   "an address of its own",
		"a=host:2380,b=host:2380": "an address of its own",
	} {
		if got, err := ParseMachines(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", list, got, err, want)
		}
	}
}

// Settings that cannot work are refused in words that say what to do, and that quote no secret.
func TestCheck(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ machines, name, listen, secret, want string }{
		"one":          {machines: "a=h:1", name: "a", want: "one machine needs no CLUSTER"},
		"two":          {machines: "a=h:1,b=h:2", name: "a", want: "name three, so that two can go on"},
		"four":         {machines: "a=h:1,b=h:2,c=h:3,d=h:4", name: "a", want: "CLUSTER names 4 machines"},
		"unknown name": {machines: "a=h:1,b=h:2,c=h:3", name: "x", want: "CLUSTER has a, b, c"},
		"misspelled": {
			machines: "alpha=h:1,beta=h:2,gamma=h:3", name: "gama", want: "did you mean gamma?",
		},
		"no name":      {machines: "a=h:1,b=h:2,c=h:3", want: "CLUSTER_NAME must say which"},
		"short secret": {machines: "a=h:1,b=h:2,c=h:3", name: "a", secret: "mellon", want: "openssl rand"},
		"no listener": {
			machines: "a=h:1,b=h:2,c=h:3", name: "a", listen: "2380", want: `CLUSTER_LISTEN "2380" must be`,
		},
		"a name as listener": {
			machines: "a=h:1,b=h:2,c=h:3", name: "a", listen: "h:1", want: "must be an IP address",
		},
		"all interfaces": {machines: "a=h:1,b=h:2,c=h:3", name: "a", listen: ":1", secret: secret},
		"three":          {machines: "a=h:1,b=h:2,c=h:3", name: "a", secret: secret},
		"five":           {machines: "a=h:1,b=h:2,c=h:3,d=h:4,e=h:5", name: "e", secret: secret},
	} {
		machines, err := ParseMachines(test.machines)
		if err != nil {
			t.Fatal(err)
		}
		config := Config{Name: test.name, Machines: machines, Listen: test.listen, Secret: test.secret}
		err = config.Check()
		if test.want == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) ||
			strings.Contains(err.Error(), "mellon")) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// A machine listens at its own address if that is one of its interfaces, and where it is told otherwise.
func TestListenAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ own, listen, want string }{
		{own: "10.0.0.1:2380", want: "10.0.0.1:2380"},
		{own: "[fd00::3]:2380", want: "[fd00::3]:2380"},
		{own: "host-a:2380", want: "0.0.0.0:2380"},
		{own: "localhost:2380", want: "localhost:2380"},
		{own: "203.0.113.7:12380", listen: ":2380", want: "0.0.0.0:2380"},
		{own: "host-a:12380", listen: "10.0.0.1:2380", want: "10.0.0.1:2380"},
	} {
		config := Config{Name: "a", Machines: map[string]string{"a": test.own}, Listen: test.listen}
		if got := config.listenAddress(); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}
