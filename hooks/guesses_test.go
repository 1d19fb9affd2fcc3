package hooks

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/internal/testkit"
)

const signInPath = "/api/collections/_superusers/auth-with-password"

// serveGuesses starts the service with the admin of the environment, behind a proxy that names networks.
func serveGuesses(t *testing.T, prepare func(core.App)) *testServer {
	t.Helper()
	return serveApp(t, prepare, func(c *Config) {
		c.SuperuserEmail, c.SuperuserPassword = testkit.SuperuserEmail, testkit.SuperuserPassword
		c.TrustedProxyHeaders = []string{"X-Forwarded-For"}
	})
}

func (s *testServer) signIn(password, network string) testkit.Answer {
	s.T.Helper()
	body := `{"identity":"` + testkit.SuperuserEmail + `","password":"` + password + `"}`
	return s.Request(http.MethodPost, signInPath, body, asJSON, "X-Forwarded-For: "+network)
}

// addQuickAdmin makes an admin whose password takes hardly any time to hash.
func (s *testServer) addQuickAdmin() {
	s.T.Helper()
	collection, err := s.App.FindCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		s.T.Fatal(err)
	}
	collection.Fields.GetByName("password").(*core.PasswordField).Cost = 4
	record := core.NewRecord(collection)
	record.SetEmail(testkit.SuperuserEmail)
	record.SetPassword(testkit.SuperuserPassword)
	if err := s.App.Save(record); err != nil {
		s.T.Fatal(err)
	}
}

// A network may try ten times a minute, however it spells the address. Others may try meanwhile.
func TestGuessLimit(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serveApp(t, func(core.App) {}, func(c *Config) {
		c.TrustedProxyHeaders = []string{"X-Forwarded-For"}
		clock.setIn(c)
	})
	s.server.guesses.rest = 0
	s.addQuickAdmin()
	for i := range guessLimit.Requests {
		if got := s.signIn("wrong", "192.0.2.1"); got.Status != http.StatusBadRequest {
			t.Fatalf("guess %d: %d %s", i, got.Status, got.Body)
		}
	}
	for _, path := range []string{
		signInPath, "/api/." + strings.TrimPrefix(signInPath, "/api"),
		strings.Replace(signInPath, "_sup", "%5Fsup", 1),
		"/api/collections/_superusers/request-otp", "/api/collections/_superusers/auth-with-otp",
	} {
		got := s.Request(http.MethodPost, path, strangersBody, asJSON, "X-Forwarded-For: 192.0.2.1")
		if got.Status != http.StatusTooManyRequests || got.Header.Get("Retry-After") != "60" {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
	if got := s.signIn(testkit.SuperuserPassword, "198.51.100.7"); got.Status != http.StatusOK {
		t.Errorf("the admin elsewhere: %d %s", got.Status, got.Body)
	}
	clock.move(guessLimit.Window)
	if got := s.signIn(testkit.SuperuserPassword, "192.0.2.1"); got.Status != http.StatusOK {
		t.Errorf("a minute later: %d %s", got.Status, got.Body)
	}
}

// A page elsewhere, in a browser of the admin's own network, can neither sign in nor keep the admin out.
func TestGuessesOfOtherPages(t *testing.T) {
	t.Parallel()
	s := serveApp(t, func(core.App) {}, nil)
	s.addQuickAdmin()
	signIn := func(password, site string) testkit.Answer {
		body := `{"identity":"` + testkit.SuperuserEmail + `","password":"` + password + `"}`
		return s.Request(http.MethodPost, signInPath, body, asJSON, site)
	}
	for range guessLimit.Requests {
		for _, site := range []string{"cross-site", "same-site"} {
			got := signIn(testkit.SuperuserPassword, "Sec-Fetch-Site: "+site)
			if got.Status != http.StatusForbidden || strings.Contains(got.Body, "token") {
				t.Fatalf("%s: %d %s", site, got.Status, got.Body)
			}
		}
	}
	for _, site := range []string{"", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"} {
		if got := signIn(testkit.SuperuserPassword, site); got.Status != http.StatusOK {
			t.Errorf("the admin, %s: %d %s", site, got.Status, got.Body)
		}
	}
}

// However many guess from however many networks, only one hash is computed at a time, and an admin elsewhere
// gets in.
func TestGuessesFromManyNetworks(t *testing.T) {
	t.Parallel()
	var hashing, most, guessed atomic.Int32
	s := serveGuesses(t, func(app core.App) {
		count := func(e *core.RecordAuthWithPasswordRequestEvent) error {
			now := hashing.Add(1)
			defer hashing.Add(-1)
			if now > most.Load() {
				most.Store(now)
			}
			guessed.Add(1)
			return e.Next()
		}
		app.OnRecordAuthWithPasswordRequest().BindFunc(count)
	})
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	for worker := range 100 {
		workers.Go(func() {
			for ctx.Err() == nil {
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+signInPath,
					strings.NewReader(strangersBody))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("X-Forwarded-For", fmt.Sprintf("192.0.2.%d", worker))
				if response, err := s.Client.Do(r); err == nil {
					response.Body.Close()
				}
			}
		})
	}
	eventually(t, "the guesses are under way", func() bool { return guessed.Load() > 5 })
	var took []time.Duration
	for range 200 {
		began := time.Now()
		s.Authorize()
		took = append(took, time.Since(began))
	}
	// Where a hash takes long, others that have not failed yet may fill the 10 s of a turn.
	got := s.signIn(testkit.SuperuserPassword, "198.51.100.7")
	for tries := 1; got.Status == http.StatusTooManyRequests && tries < 10; tries++ {
		got = s.signIn(testkit.SuperuserPassword, "198.51.100.7")
	}
	if got.Status != http.StatusOK {
		t.Errorf("the admin elsewhere: %d %s", got.Status, got.Body)
	}
	slices.Sort(took)
	t.Logf("/authorize meanwhile: median %v, p99 %v", took[100], took[198])
	if most.Load() != 1 {
		t.Errorf("%d hashes were computed at a time", most.Load())
	}
}

// Whoever sends a body slowly waits alone.
func TestGuessWithSlowBody(t *testing.T) {
	t.Parallel()
	s := serveGuesses(t, func(core.App) {})
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	const head = "POST " + signInPath + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
		"X-Forwarded-For: 192.0.2.1\r\nContent-Length: 100\r\n\r\n{"
	if _, err := io.WriteString(connection, head); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request is there", func() bool {
		s.server.guesses.limit.mu.Lock()
		defer s.server.guesses.limit.mu.Unlock()
		return len(s.server.guesses.limit.count) > 0
	})
	if got := s.signIn(testkit.SuperuserPassword, "198.51.100.7"); got.Status != http.StatusOK {
		t.Errorf("the admin elsewhere: %d %s", got.Status, got.Body)
	}
	large := s.signIn(strings.Repeat("x", maxSignIn), "198.51.100.7")
	if large.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d %s", large.Status, large.Body)
	}
}

// The next try is one of the network that has failed least, and the first of those.
func TestGuessesInOrder(t *testing.T) {
	t.Parallel()
	g := newGuesses(time.Now)
	g.rest, g.wait = 0, time.Hour
	network := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32)
	}
	enter := func(i int) <-chan bool {
		entered := make(chan bool, 1)
		before := g.places()
		go func() { entered <- g.enter(t.Context(), network(i)) }()
		eventually(t, "the try waits", func() bool { return g.places() > before || len(entered) > 0 })
		return entered
	}
	for range 2 { // network 1 fails twice, and network 2 once
		g.enter(t.Context(), network(1))
		g.leave(network(1), false)
	}
	g.enter(t.Context(), network(2))
	g.leave(network(2), false)
	g.enter(t.Context(), network(9))
	order := []<-chan bool{enter(1), enter(2), enter(3), enter(4)}
	for _, next := range []int{3, 4, 2, 1} {
		g.leave(network(9), true)
		if !<-order[next-1] {
			t.Errorf("network %d lost its place", next)
		}
	}
	// With all places taken, a network that has failed more gives up its own.
	failing := enter(1)
	for i := 10; g.places() < 2*maxQueue; i++ {
		enter(i)
	}
	fresh := make(chan bool, 1)
	go func() { fresh <- g.enter(t.Context(), network(5)) }()
	if <-failing {
		t.Error("the network that has failed kept its place")
	}
	if g.enter(t.Context(), network(1)) {
		t.Error("a try found a place where there was none")
	}
	for range 2 * maxQueue {
		g.leave(network(9), true)
	}
	if !<-fresh {
		t.Error("a network that has not failed lost its place")
	}
	// A request that is over, or has waited long enough, gives its place back.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if g.enter(ctx, network(5)) || g.places() != 0 {
		t.Error("a request that is over keeps its place")
	}
	g = newGuesses(time.Now)
	g.wait = 0
	g.enter(t.Context(), network(9))
	if g.enter(t.Context(), network(5)) || g.places() != 0 {
		t.Error("a request waits for ever")
	}
}

// regionNetwork returns a network of a region of its own.
func regionNetwork(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(11 + i>>8), byte(i), 0, 1}), 32)
}

// fill takes the turn and all places, for networks from a region of their own each.
func (g *guesses) fill() (tries []*try) {
	for i := range 2*maxQueue + 1 {
		tries = append(tries, &try{network: regionNetwork(i), turn: make(chan bool, 1)})
		g.enqueue(tries[i])
	}
	return tries
}

// A network from which an admin has signed in goes first, however often it has failed since.
func TestAdminsGoFirst(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	g := newGuesses(clock.now)
	g.rest = 0
	admin := netip.MustParsePrefix("192.0.2.1/32")
	for _, proved := range []bool{false, true, false, false} {
		g.enqueue(&try{network: admin, turn: make(chan bool, 1)})
		g.leave(admin, proved)
		eventually(t, "the rest is over", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return !g.busy })
	}
	g.fill()
	mine := &try{network: admin, turn: make(chan bool, 1)}
	if !g.enqueue(mine) {
		t.Fatal("the admin gets no place")
	}
	g.leave(regionNetwork(0), false)
	select {
	case granted := <-mine.turn:
		if !granted {
			t.Error("the admin lost the place")
		}
	default:
		t.Error("another went first")
	}
	clock.move(rememberAdmin)
	if g.rankOf(admin).admin {
		t.Error("the network is never forgotten")
	}
	for i := range maxAdmins + 1 {
		clock.move(time.Second)
		g.addAdmin(regionNetwork(i))
	}
	if len(g.admins) != maxAdmins || g.rankOf(regionNetwork(0)).admin || !g.rankOf(regionNetwork(1)).admin {
		t.Errorf("%d networks are remembered, or the wrong ones", len(g.admins))
	}
}

// When all places are taken by networks that have never failed, another such has a chance all the same, and
// whoever is refused has failed.
func TestFreshNetworksAreDrawn(t *testing.T) {
	t.Parallel()
	g := newGuesses(time.Now)
	tries := g.fill()
	placed := 0
	for i := range 1000 {
		network := regionNetwork(1000 + i)
		if g.enqueue(&try{network: network, turn: make(chan bool, 1)}) {
			placed++
		} else if g.rankOf(network).site != 1 {
			t.Errorf("a refused try counts %d", g.rankOf(network).site)
		}
	}
	lost := 0
	for _, try := range tries[1:] {
		if len(try.turn) > 0 && !<-try.turn {
			lost++
			if g.rankOf(try.network).site != 1 {
				t.Error("a lost place does not count")
			}
		}
	}
	if placed < 900 || lost < maxQueue {
		t.Errorf("%d of 1000 got a place, and %d of %d lost theirs", placed, lost, 2*maxQueue)
	}
}

// Fresh networks of one provider wait behind those of another, and a try that waited in vain has failed.
func TestRegionsThatFail(t *testing.T) {
	t.Parallel()
	g := newGuesses(time.Now)
	g.rest, g.wait = 0, 0
	network := func(i int) netip.Prefix {
		address := [16]byte{0x20, 0x01, 0x0d, 0xb8, byte(i >> 8), byte(i)}
		return netip.PrefixFrom(netip.AddrFrom16(address), 64)
	}
	g.enqueue(&try{network: network(0), turn: make(chan bool, 1)})
	if g.enter(t.Context(), network(1)) || g.rankOf(network(1)).site != 1 {
		t.Error("a try that waited in vain has not failed")
	}
	for i := range 300 {
		g.enqueue(&try{network: network(2 + i), turn: make(chan bool, 1)})
	}
	admin := &try{network: netip.MustParsePrefix("2a01:db8::/64"), turn: make(chan bool, 1)}
	if !g.enqueue(admin) {
		t.Error("the other provider's gets no place")
	}
	for range 100 { // none of the later ones takes it
		g.enqueue(&try{network: network(1000), turn: make(chan bool, 1)})
	}
	g.failAndAwait(t, network(0))
	if len(admin.turn) == 0 || !<-admin.turn {
		t.Error("another went first")
	}
}

// enter waits until a network may try, and reports whether it may.
func (g *guesses) enter(ctx context.Context, network netip.Prefix) bool {
	mine := &try{network: network, turn: make(chan bool, 1)}
	return g.enqueue(mine) && g.await(ctx, mine)
}

// An admin who tries from a new network gets in although others guess from networks of every region, and
// have failed most often in the admin's.
func TestNetworksInEveryRegion(t *testing.T) {
	t.Parallel()
	g := newGuesses(time.Now)
	g.rest = 0
	const regions = 200
	guess := func(i int) {
		g.enqueue(&try{network: regionNetwork(i % regions), turn: make(chan bool, 1)})
	}
	for i := range regions {
		g.addFailure(regionNetwork(i))
	}
	for range 10 {
		g.addFailure(regionNetwork(7))
	}
	for i := range 5 * regions {
		guess(i)
	}
	address := regionNetwork(7).Addr().As4()
	address[3]++
	admin := &try{network: netip.PrefixFrom(netip.AddrFrom4(address), 32), turn: make(chan bool, 1)}
	if !g.enqueue(admin) {
		t.Fatal("the admin gets no place")
	}
	for i := range 5 * regions {
		guess(i)
	}
	for range g.queues {
		g.leave(regionNetwork(regions), true)
	}
	if len(admin.turn) == 0 || !<-admin.turn {
		t.Error("others went first")
	}
}

// So does one whose region has failed most when only a few others wait, who have places left.
func TestFewNetworksInTwoRegions(t *testing.T) {
	t.Parallel()
	g := newGuesses(time.Now)
	other, neighbor := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("198.51.100.1/32")
	admin := &try{network: netip.MustParsePrefix("198.51.100.7/32"), turn: make(chan bool, 1)}
	g.addFailure(other)
	for range 10 {
		g.addFailure(neighbor)
	}
	for range 5 {
		g.enqueue(&try{network: other, turn: make(chan bool, 1)})
	}
	g.enqueue(admin)
	for range g.queues {
		g.leave(regionNetwork(0), true)
	}
	if len(admin.turn) == 0 || !<-admin.turn {
		t.Error("others went first")
	}
}

// A network that sends all its tries at once has one before an admin who tries from a new network: the others
// wait, since the first has failed.
func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, admin string }{
		{name: "another region", admin: "198.51.100.7/32"},
		{name: "the same region", admin: "192.0.2.7/32"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newGuesses(time.Now)
			g.rest = 0
			one, other := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
			admin := &try{network: netip.MustParsePrefix(test.admin), turn: make(chan bool, 1)}
			for _, network := range []netip.Prefix{one, other} {
				for range guessLimit.Requests {
					g.enqueue(&try{network: network, turn: make(chan bool, 1)})
				}
			}
			g.enqueue(admin)
			g.failAndAwait(t, one)
			if test.name == "the same region" { // nobody has failed but the first
				g.failAndAwait(t, other)
			}
			if len(admin.turn) == 0 || !<-admin.turn {
				t.Error("another went first")
			}
		})
	}
}

// An admin who comes from a new network while hundreds of the same region guess goes before all of them who
// come again, whether they have done so before or do it while the admin waits.
func TestNewNetworkAmongGuessers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		guessers       int
		before, rounds int // rounds: in all
	}{
		{name: "before", guessers: 300, before: 2, rounds: 3},
		{name: "meanwhile", guessers: 2 * maxQueue, before: 1, rounds: 2}, // one place is left
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newGuesses(time.Now)
			admin := &try{network: netip.MustParsePrefix("192.0.255.1/32"), turn: make(chan bool, 1)}
			for round := range test.rounds {
				if round == test.before && !g.enqueue(admin) {
					t.Fatal("the admin gets no place")
				}
				for i := range test.guessers {
					address := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
					g.enqueue(&try{network: netip.PrefixFrom(address, 32), turn: make(chan bool, 1)})
				}
			}
			g.leave(regionNetwork(0), true)
			if len(admin.turn) == 0 || !<-admin.turn {
				t.Error("others went first")
			}
		})
	}
}

// Whoever is refused is told to come again when those who do not wait have been refused more often, and later
// each time: hundreds who take turns need not come every ten seconds to fill all places.
func TestRefusedWait(t *testing.T) {
	t.Parallel()
	s := serveGuesses(t, func(core.App) {})
	s.server.guesses.fill()
	network := netip.MustParsePrefix("192.0.2.1/32")
	s.server.guesses.addFailure(network)
	s.server.guesses.addFailure(network)
	for i, want := range []string{"40", "80", "160", "300", "300"} {
		got := s.signIn("wrong", "192.0.2.1")
		if got.Status != http.StatusTooManyRequests || got.Header.Get("Retry-After") != want {
			t.Errorf("refusal %d: %d %s, Retry-After: %q", i, got.Status, got.Body, got.Header.Get("Retry-After"))
		}
	}
	if got := s.server.guesses.pause(netip.MustParsePrefix("192.0.2.2/32")); got != s.server.guesses.wait {
		t.Errorf("who has never failed waits %v", got)
	}
}

// failAndAwait ends a try that has failed, and waits until it is the turn of another.
func (g *guesses) failAndAwait(t *testing.T, network netip.Prefix) {
	before := g.places()
	g.leave(network, false)
	eventually(t, "another try's turn comes", func() bool { return g.places() < before })
}

// places is how many tries wait.
func (g *guesses) places() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queues[0].tries) + len(g.queues[1].tries)
}

// failing is how many networks have failed lately.
func (g *guesses) failing() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.failures)
}

// A site or a region that goes on failing makes the next try wait, and what is known about networks is
// bounded.
func TestFailuresRest(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	var g *guesses
	fail := func(network netip.Prefix) bool {
		entered := g.enter(t.Context(), network)
		if entered {
			g.leave(network, false)
		}
		return entered
	}
	one := netip.MustParsePrefix("2001:db8::/64")
	for _, other := range []string{"2001:db8:0:1::/64", "2001:db8:1::/64"} { // of one /48, and of one /32
		g = newGuesses(clock.now)
		if g.rest != time.Second {
			t.Errorf("after a failure the next try waits %s", g.rest)
		}
		g.rest, g.wait = time.Hour, time.Millisecond
		if !fail(one) {
			t.Error("the first try waits")
		}
		clock.move(rememberFailures)
		if !fail(one) || !fail(netip.MustParsePrefix(other)) {
			t.Error("a failure is never forgotten")
		}
		if fail(netip.MustParsePrefix("192.0.2.1/32")) {
			t.Errorf("a second failure, from %s, makes nobody wait", other)
		}
	}
	g = newGuesses(clock.now)
	for i := range maxFailures + 10 {
		address := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		g.addFailure(netip.PrefixFrom(address, 32))
	}
	if len(g.failures) > maxFailures {
		t.Errorf("%d networks are known", len(g.failures))
	}
}

// When an admin signs in, the other tries of the same network that wait go on counting, and the first that
// fails makes the next wait.
func TestSignInForgetsNoneThatWait(t *testing.T) {
	t.Parallel()
	g := newGuesses(time.Now)
	g.rest = time.Hour
	network := netip.MustParsePrefix("192.0.2.1/32")
	g.addFailure(network)
	for range 3 {
		g.enqueue(&try{network: network, turn: make(chan bool, 1)})
	}
	g.leave(network, true)
	if got := g.rankOf(network); got != (rank{admin: true, region: 2, site: 2}) {
		t.Errorf("%+v, with two tries left", got)
	}
	g.leave(network, false)
	if g.places() != 1 {
		t.Error("the next try does not wait after a failure")
	}
}

// Admins who have turned on a second factor can sign in with it.
func TestSecondFactor(t *testing.T) {
	t.Parallel()
	mailed := make(chan string, 1)
	s := serveGuesses(t, func(app core.App) {
		app.OnMailerRecordOTPSend().BindFunc(func(e *core.MailerRecordEvent) error {
			mailed <- fmt.Sprint(e.Meta["password"])
			return nil
		})
	})
	superusers, err := s.App.FindCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		t.Fatal(err)
	}
	superusers.OTP.Enabled, superusers.MFA.Enabled = true, true
	if err := s.App.Save(superusers); err != nil {
		t.Fatal(err)
	}
	var answer struct{ MfaID, OtpID, Token string }
	step := func(action string, status int, fields map[string]string) {
		t.Helper()
		body, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		got := s.Request(http.MethodPost, "/api/collections/_superusers/"+action, string(body), asJSON)
		if err := json.Unmarshal([]byte(got.Body), &answer); err != nil || got.Status != status {
			t.Fatalf("%s: %d %s", action, got.Status, got.Body)
		}
	}
	step("auth-with-password", http.StatusUnauthorized, map[string]string{
		"identity": testkit.SuperuserEmail, "password": testkit.SuperuserPassword,
	})
	if s.server.guesses.failing() != 0 {
		t.Error("a right password counts as a failure")
	}
	step("request-otp", http.StatusOK, map[string]string{"email": testkit.SuperuserEmail})
	step("auth-with-otp", http.StatusOK, map[string]string{
		"mfaId": answer.MfaID, "otpId": answer.OtpID, "password": <-mailed,
	})
	if answer.Token == "" {
		t.Error("the admin is not signed in")
	}
	if s.server.guesses.failing() != 0 {
		t.Error("a sign-in counts as a failure")
	}
}

// The body of a try counts with its connection while it is read.
func TestBodiesOfTriesAreCounted(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.timing.body = time.Hour })
	s.Client.CloseIdleConnections()
	for length, want := range map[string]int{
		"Content-Length: 5000":       signInMemory * 5000 >> 10,
		"Content-Length: 9999":       signInMemory * maxSignIn >> 10,
		"Transfer-Encoding: chunked": signInMemory * maxSignIn >> 10,
	} {
		connection := s.dial(t)
		_, _ = io.WriteString(connection,
			"POST "+signInPath+" HTTP/1.1\r\nHost: localhost\r\n"+length+"\r\n\r\n")
		eventually(t, length, func() bool {
			open, _ := s.memoryNow()
			return open == plainMemory+want
		})
		connection.Close()
		eventually(t, "it is closed", func() bool {
			open, _ := s.memoryNow()
			return open == 0
		})
	}
}
