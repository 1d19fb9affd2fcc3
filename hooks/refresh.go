package hooks

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/rotation"
)

// maxRefreshToken bounds a refresh token, in bytes: 20 KB. Those that are JWTs have a few thousand; the
// largest that people reported have nearly 20,000.
const maxRefreshToken = 20 << 10

// providerBounds bounds the refreshes and revocations under way. At a provider that answers in 0.3 seconds,
// an office behind one address has 200 of them a second. Each has two connections and some goroutines, and
// lasts up to ten seconds if the provider hangs.
var providerBounds = bounds{network: 64, provider: 384, inAll: 512}

// unknownBounds bounds those of them whose token is not known to be good. They leave a quarter to the others:
// whoever has a few hundred networks can have junk under way all the time, at a provider that answers as fast
// as any.
var unknownBounds = bounds{network: 64, provider: 288, inAll: 384}

// faultShare is how many times as many refreshes as REFRESH_RATE_LIMIT allows may fail because the provider
// is down, slow or busy. That says nothing about the tokens, so it does not count with the refused ones; but
// nobody may send junk without end just because the provider has begun to answer 429.
//
// Beyond it, the tokens of that network which did not come from here wait for the rest of the minute, and
// nothing else does. What the provider asks one to wait is passed on to that one only: if it held back
// others, a single token, of a stranger who has made the provider impatient, would keep all of them from
// refreshing.
const faultShare = 2

// retryBusy is when to try again a request that was one too many.
const retryBusy = 5 * time.Second

var errRefreshLimit = &responseError{
	Status: http.StatusTooManyRequests,
	Code:   "temporarily_unavailable",
	Description: "Too many refreshes from this network failed. Try again in a minute; nobody needs to sign " +
		"in again.",
}

// errTokenTooLong says that a token is longer than any that a provider is known to issue.
var errTokenTooLong = invalidRequest("The token has more than " + strconv.Itoa(maxRefreshToken) +
	" bytes. No longer one is passed on to the provider.")

// errNotSealed says that a refresh token of a plugin with sealed tokens does not open.
var errNotSealed = &responseError{
	Status: http.StatusBadRequest,
	Code:   "invalid_grant",
	Description: "This refresh token is not one that the plugin got from here, or it is too old. Sign in " +
		"again.",
}

// refresh handles POST /refresh?code=… (or refresh_token=…): it redeems the refresh token and answers with
// the provider's token response. An error has the provider's status and one line of text, because deployed
// plugins take any JSON for tokens; a plugin that accepts application/json gets its errors as JSON.
func (s *server) refresh(e *request) error {
	refreshToken := e.param("code", "refresh_token")
	if refreshToken == "" {
		return invalidRequest("The refresh token is missing. Send it as code or refresh_token.")
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	if refreshToken, err = e.plugin.OpenToken(oauth.RefreshToken, refreshToken); err != nil {
		return errNotSealed
	}
	if len(refreshToken) > maxRefreshToken {
		return errTokenTooLong
	}
	// A provider that rotates refresh tokens uses up the old one once it is asked, so nothing cancels the
	// request.
	if !s.exchanging.TryRLock() {
		return errRestarting
	}
	defer s.exchanging.RUnlock()
	e.forgetBody()
	tokens, err := s.redeem(e, client, refreshToken)
	s.metrics.refresh(e.plugin.Slug, err)
	if err != nil {
		e.passRetryAfter(err)
		return err
	}
	if tokens, err = e.plugin.SealTokens(tokens); err != nil {
		return err
	}
	return e.writeTokens(tokens)
}

// passRetryAfter tells the plugin how long the provider asks to wait, if it does.
func (e *request) passRetryAfter(err error) {
	if provider, ok := errors.AsType[*oauth.Error](err); ok && provider.RetryAfter > 0 {
		e.setRetryAfter(provider.RetryAfter)
	}
}

// redeem returns the provider's answer to a refresh token, from memory if it was given a moment ago.
func (s *server) redeem(e *request, client *oauth.Client, refreshToken string) ([]byte, error) {
	key := newRefreshKey(e, client, refreshToken)
	if tokens, found := s.refreshes.find(key); found {
		return tokens, nil
	}
	network, token := s.clientNetwork(e), newTokenKey(e, refreshToken)
	now := s.config.timing.now()
	if refusal, found := s.knownTokens.refusal(key, now); found {
		return nil, refusal
	}
	wait := max(s.refreshLimit.peek(network, now), s.faultLimit.peek(network, now))
	if wait > 0 && !s.knownTokens.isGood(token) {
		e.setRetryAfter(wait)
		return nil, errRefreshLimit
	}
	leave, err := s.enterProvider(e, providerRequest{
		endpoint: e.plugin.RefreshEndpoint, token: token, size: len(refreshToken),
		unknown: s.refreshLimit.left(network, now), // if all of them are refused, they keep to the limit
	})
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx := context.WithoutCancel(e.Request.Context())
	ask := func() ([]byte, error) {
		tokens, err := s.endpoint(e.plugin).Refresh(ctx, client, refreshToken)
		s.watchTokenRequest(e.plugin, s.sentRefreshToken(e, refreshToken, token), err)
		switch now := s.config.timing.now(); {
		case isRefusal(err):
			s.knownTokens.good.remove(token) // it passes no limit again, be it for another tenant
			s.knownTokens.addRefusal(key, err, s.refreshLimit.spend(network, now))
		case err != nil:
			s.faultLimit.spend(network, now)
		}
		return tokens, err
	}
	return s.refreshes.do(key, func() (refreshAnswer, error) {
		tokens, err := s.askOnce(e, key, refreshToken, ask)
		if err != nil {
			return refreshAnswer{}, err
		}
		s.knownTokens.addGood(e, tokens)
		if !rotated(tokens, refreshToken) {
			s.knownTokens.good.put(token, struct{}{})
			return refreshAnswer{tokens: tokens}, nil
		}
		s.knownTokens.replaced.put(token, struct{}{})
		return refreshAnswer{
			tokens: tokens, about: append(tokenKeys(e, tokens), token), site: siteOf(network),
		}, nil
	})
}

// providerRequest is a refresh or a revocation that is about to be made.
type providerRequest struct {
	endpoint string
	token    tokenKey
	size     int // of what is sent, in bytes
	unknown  int // how many the network may have under way whose token is not known to be good
}

// enterProvider lets a request in at the gate of the provider until leave is called. One whose token is not
// known to be good must pass another gate before. It fails like [server.enter].
func (s *server) enterProvider(e *request, made providerRequest) (leave func(), err error) {
	provider := oauth.HostOf(made.endpoint)
	leaveUnknown := func() {}
	if !s.isOurs(e, made.token) {
		leaveUnknown, err = s.unknownGate.enterUpTo(made.unknown, s.clientNetwork(e), provider)
		if err != nil {
			e.setRetryAfter(retryBusy)
			return nil, err
		}
	}
	leaveAll, err := s.enter(s.providerGate, e, provider, made.size)
	if err != nil {
		leaveUnknown()
		return nil, err
	}
	return func() {
		leaveAll()
		leaveUnknown()
	}, nil
}

// isOurs reports whether a token is known to have come from here. One of a plugin with sealed tokens has been
// opened, so it did.
func (s *server) isOurs(e *request, token tokenKey) bool {
	return s.knownTokens.isGood(token) || e.plugin.Tokens == plugins.TokensSealed
}

// askOnce asks the provider, unless another machine does so, or did a moment ago: then it returns that
// machine's answer.
func (s *server) askOnce(
	e *request, key refreshKey, refreshToken string, ask func() ([]byte, error),
) ([]byte, error) {
	if s.membership == nil {
		return ask()
	}
	ctx := context.WithoutCancel(e.Request.Context())
	return s.membership.rotations.Do(ctx, rotation.Hash(key), refreshToken,
		func() (rotation.Answer, error) {
			tokens, err := ask()
			answer := rotation.Answer{Tokens: tokens, Rotated: rotated(tokens, refreshToken)}
			for _, about := range append(tokenKeys(e, tokens), newTokenKey(e, refreshToken)) {
				answer.About = append(answer.About, rotation.Hash(about))
			}
			return answer, err
		})
}

// forgetAnswers removes the answers to refreshes about a token, on the other machines as well: these hear of
// it a moment later.
func (s *server) forgetAnswers(e *request, token tokenKey) {
	s.refreshes.forget(token)
	if s.membership == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.Request.Context()), forgetTime)
	defer cancel()
	if err := s.membership.rotations.Forget(ctx, rotation.Hash(token)); err != nil {
		s.membership.log.Warn("an answer to a refresh that has a revoked token may be given again for a "+
			"moment", "cause", err.Error())
	}
}

// forgetTime bounds how long a revocation waits for the other machines.
const forgetTime = 2 * time.Second

// sentRefreshToken says what is known of a refresh token.
func (s *server) sentRefreshToken(e *request, refreshToken string, key tokenKey) sentCredential {
	_, replaced := s.knownTokens.replaced.get(key)
	return sentCredential{value: refreshToken, issued: s.isOurs(e, key) && !replaced, key: key}
}

// isRefusal reports whether an error is the provider's answer to a token that it does not accept. It is not
// if the provider is down, slow or busy.
func isRefusal(err error) bool {
	provider, ok := errors.AsType[*oauth.Error](err)
	return ok && provider.Status >= http.StatusBadRequest &&
		provider.Status < http.StatusInternalServerError &&
		provider.Status != http.StatusRequestTimeout && provider.Status != http.StatusTooManyRequests
}

// refreshKey is a hash of the plugin with its client, the tenant and the refresh token.
type refreshKey [sha256.Size]byte

func newRefreshKey(e *request, client *oauth.Client, refreshToken string) refreshKey {
	return sha256.Sum256([]byte(string(e.plugin.Fingerprint) + client.Tenant + "\n" + refreshToken))
}

// tokenKey is a hash of the plugin with its client, and an access or refresh token.
type tokenKey [sha256.Size]byte

func newTokenKey(e *request, token string) tokenKey {
	return sha256.Sum256([]byte(string(e.plugin.Fingerprint) + "\n" + token))
}

// maxKnownTokens is how many tokens of a response are known. A provider has three or four; one that sends
// tens of thousands would take the place of all that is known of those of other plugins.
const maxKnownTokens = 16

// tokenKeys returns the keys of the tokens in a token response.
func tokenKeys(e *request, response []byte) (keys []tokenKey) {
	tokens := oauth.TokensIn(response)
	for _, token := range tokens[:min(len(tokens), maxKnownTokens)] {
		keys = append(keys, newTokenKey(e, token))
	}
	return keys
}

// refreshCache merges simultaneous refreshes with the same refresh token into one request, and gives its
// answer to all of them. To a provider that rotates refresh tokens, a second request would look like a stolen
// token (RFC 9700 section 4.14.2). An answer that brings a new refresh token is given again for some seconds,
// to a second window of the plugin that was too late to share the request. Everything is in memory only.
// A cache is safe for concurrent use.
type refreshCache struct {
	kept     time.Duration
	inflight singleflight.Group

	mu       sync.Mutex
	answers  map[refreshKey]*list.Element // of *refreshAnswer
	oldest   list.List                    // the same, those first that were kept first
	expiring bool                         // whether expire will be called
	asking   map[refreshKey]bool          // what is under way, and whether its answer must not be kept
	size     atomic.Int64                 // of the answers, in bytes
	sites    map[netip.Prefix]int         // the same for those of each site
}

// refreshAnswer is a provider's answer to a refresh.
type refreshAnswer struct {
	tokens []byte
	about  []tokenKey // the tokens that it holds, and the one it replaces; none: it is not given again
	site   netip.Prefix
	key    refreshKey // what it answers, once it is kept
	until  time.Time  // when it is given no more
}

const (
	// maxRefreshAnswers bounds the answers that are kept, in bytes. Only refreshes that succeeded fill it.
	maxRefreshAnswers = 16 << 20

	// siteRefreshAnswers bounds those of one site, so that nobody alone can take all the room.
	siteRefreshAnswers = maxRefreshAnswers / 4

	// refreshAnswerOverhead is what an answer takes beside its tokens: its key twice, and its share of the
	// maps and of the list.
	refreshAnswerOverhead = 512
)

// size is the memory that an answer takes, in bytes.
func (a *refreshAnswer) size() int {
	return len(a.tokens) + len(a.about)*len(tokenKey{}) + refreshAnswerOverhead
}

func newRefreshCache(kept time.Duration) *refreshCache {
	return &refreshCache{
		kept:    kept,
		answers: map[refreshKey]*list.Element{},
		asking:  map[refreshKey]bool{},
		sites:   map[netip.Prefix]int{},
	}
}

func (c *refreshCache) do(key refreshKey, send func() (refreshAnswer, error)) ([]byte, error) {
	tokens, err, _ := c.inflight.Do(string(key[:]), func() (any, error) {
		if tokens, found := c.find(key); found {
			return tokens, nil
		}
		c.begin(key)
		defer c.finish(key)
		answer, err := send()
		if err == nil && len(answer.about) > 0 {
			c.keep(key, &answer)
		}
		return answer.tokens, err
	})
	if err != nil {
		return nil, err
	}
	return tokens.([]byte), nil
}

// begin notes that a refresh is under way, and finish that it no longer is.
func (c *refreshCache) begin(key refreshKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking[key] = false
}

func (c *refreshCache) finish(key refreshKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.asking, key)
}

// find returns the tokens of an answer that is kept.
func (c *refreshCache) find(key refreshKey) (tokens []byte, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, found := c.answers[key]
	if !found {
		return nil, false
	}
	answer := element.Value.(*refreshAnswer)
	return answer.tokens, time.Now().Before(answer.until)
}

// bytes is how large all answers are.
func (c *refreshCache) bytes() int { return int(c.size.Load()) }

// keep keeps an answer for some seconds, if there is room for it.
func (c *refreshCache) keep(key refreshKey, answer *refreshAnswer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.answers[key]; known != nil { // it is given no more
		c.remove(known)
	}
	size := answer.size()
	isFull := c.bytes()+size > maxRefreshAnswers || c.sites[answer.site]+size > siteRefreshAnswers
	if c.asking[key] || isFull {
		return
	}
	answer.key, answer.until = key, time.Now().Add(c.kept)
	c.answers[key] = c.oldest.PushBack(answer)
	c.size.Add(int64(size))
	c.sites[answer.site] += size
	if !c.expiring {
		c.expiring = true
		time.AfterFunc(c.kept, c.expire)
	}
}

// expire removes the answers that are given no more, as long as there are any. It has a timer for all of
// them, since one for each would cost more than the rest of a busy cache, and lets a few come together.
func (c *refreshCache) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for element := c.oldest.Front(); element != nil; element = c.oldest.Front() {
		if left := time.Until(element.Value.(*refreshAnswer).until); left > 0 {
			time.AfterFunc(max(left, c.kept/32), c.expire)
			return
		}
		c.remove(element)
	}
	c.expiring = false
}

// forget removes the answers about a token.
func (c *refreshCache) forget(token tokenKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, element := range c.answers {
		if slices.Contains(element.Value.(*refreshAnswer).about, token) {
			c.remove(element)
		}
	}
}

// forgetKey removes the answer to a refresh, also if it is under way.
func (c *refreshCache) forgetKey(key refreshKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element := c.answers[key]; element != nil {
		c.remove(element)
	}
	if _, found := c.asking[key]; found {
		c.asking[key] = true
	}
}

// remove removes an answer. The caller holds the lock.
func (c *refreshCache) remove(element *list.Element) {
	answer := c.oldest.Remove(element).(*refreshAnswer)
	delete(c.answers, answer.key)
	c.size.Add(-int64(answer.size()))
	if c.sites[answer.site] -= answer.size(); c.sites[answer.site] == 0 {
		delete(c.sites, answer.site)
	}
}

// rotated reports whether a token response has a refresh token that replaces the old one (RFC 6749 section
// 6).
func rotated(tokens []byte, old string) bool {
	var response struct {
		RefreshToken string `json:"refresh_token"`
	}
	return json.Unmarshal(tokens, &response) == nil && response.RefreshToken != "" &&
		response.RefreshToken != old
}

// knownTokens is what this process has heard of tokens, so that whoever sends tokens that are refused spoils
// nothing for others in the same network: a token that came from here may be refreshed even when the
// network's limit is used up, until it is refused, and one that was refused is answered from memory once half
// of the limit is used up, instead of using up the rest. It has only hashes. It is safe for concurrent use.
type knownTokens struct {
	good     recent[tokenKey, struct{}]
	replaced recent[tokenKey, struct{}] // of the good ones, by another refresh token
	accepted recent[tokenKey, struct{}] // by an API, of those that did not come from here
	refused  recent[refreshKey, refusedToken]
}

// refusedToken is what the provider said of a token, and how long that is repeated.
type refusedToken struct {
	err   error
	until time.Time
}

// addGood adds the tokens of a token response.
func (k *knownTokens) addGood(e *request, response []byte) {
	for _, token := range tokenKeys(e, response) {
		k.good.put(token, struct{}{})
	}
}

// isGood reports whether a token came from here not long ago.
func (k *knownTokens) isGood(token tokenKey) bool {
	_, found := k.good.get(token)
	return found
}

// isAccepted reports whether an API took a token not long ago that did not come from here.
func (k *knownTokens) isAccepted(token tokenKey) bool {
	_, found := k.accepted.get(token)
	return found
}

// addRefusal makes the refusal of a dead refresh token known until some time. Other refusals may be over
// before: an admin corrects the secret.
func (k *knownTokens) addRefusal(key refreshKey, err error, until time.Time) {
	provider, ok := errors.AsType[*oauth.Error](err)
	if ok && provider.Meaning == oauth.InvalidGrant && !until.IsZero() {
		k.refused.put(key, refusedToken{err: err, until: until})
	}
}

// refusal returns the error of a refresh token that is known to be dead.
func (k *knownTokens) refusal(key refreshKey, now time.Time) (err error, found bool) {
	refused, found := k.refused.get(key)
	if !found || !now.Before(refused.until) {
		return nil, false
	}
	return refused.err, true
}

// recent is a map that keeps at least the last maxRecent keys, and at most twice as many.
type recent[K comparable, V any] struct {
	mu       sync.Mutex
	new, old map[K]V
}

const maxRecent = 20_000

func (r *recent[K, V]) put(key K, value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.new == nil || len(r.new) >= maxRecent {
		r.new, r.old = map[K]V{}, r.new
	}
	r.new[key] = value
}

func (r *recent[K, V]) remove(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.new, key)
	delete(r.old, key)
}

func (r *recent[K, V]) get(key K) (value V, found bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if value, found = r.new[key]; !found {
		value, found = r.old[key]
	}
	return value, found
}
