package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"
)

// notion stands in for Notion's API, as far as examples/framer-notion uses it. Like Notion it has no CORS
// headers, gives lists in parts, and asks those who call too often to wait. Create one with [newNotion].
type notion struct {
	issuer string // its access tokens are accepted
	mux    *http.ServeMux

	mu      sync.Mutex
	calls   int       // without those in a second in which all are refused
	busy    time.Time // until then all calls are refused
	refused int       // calls
}

// object is one in JSON.
type object = map[string]any

// What the stand-in bounds. Notion gives 100 entries at once, and takes three calls a second.
const (
	notionEntries = 5 // at once
	notionCalls   = 5 // the last of so many is refused, and all in the second after it
)

func newNotion(issuer string) *notion {
	n := &notion{issuer: issuer, mux: http.NewServeMux()}
	n.mux.HandleFunc("POST /v1/search", func(w http.ResponseWriter, r *http.Request) {
		answerList(w, r, notionDatabases)
	})
	n.mux.HandleFunc("GET /v1/databases/{id}", func(w http.ResponseWriter, r *http.Request) {
		if database, found := findDatabase(w, r); found {
			answerNotion(w, http.StatusOK, database)
		}
	})
	n.mux.HandleFunc("POST /v1/databases/{id}/query", func(w http.ResponseWriter, r *http.Request) {
		if database, found := findDatabase(w, r); found {
			answerList(w, r, notionPages[database["id"].(string)])
		}
	})
	n.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusBadRequest, "invalid_request_url", "Invalid request URL.")
	})
	return n
}

func (n *notion) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case n.isBusy():
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, "rate_limited", "You have been rate limited.")
	case !n.accepts(r):
		refuse(w, http.StatusUnauthorized, "unauthorized", "API token is invalid.")
	case r.Header.Get("Notion-Version") == "":
		refuse(w, http.StatusBadRequest, "missing_version", "Notion-Version header should be defined.")
	default:
		n.mux.ServeHTTP(w, r)
	}
}

// isBusy reports whether a call is to be refused.
func (n *notion) isBusy() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Now().Before(n.busy) {
		n.refused++
		return true
	}
	n.calls++
	if n.calls%notionCalls != 0 {
		return false
	}
	n.busy = time.Now().Add(time.Second)
	n.refused++
	return true
}

// accepts asks the provider about a call's access token.
func (n *notion) accepts(r *http.Request) bool {
	userinfo, err := http.NewRequestWithContext(r.Context(), http.MethodGet, n.issuer+"/userinfo", nil)
	if err != nil {
		return false
	}
	userinfo.Header.Set("Authorization", r.Header.Get("Authorization"))
	response, err := http.DefaultClient.Do(userinfo)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// findDatabase returns the database that the path names. If there is none, it has answered so.
func findDatabase(w http.ResponseWriter, r *http.Request) (database object, found bool) {
	id := r.PathValue("id")
	for _, database := range notionDatabases {
		if database["id"] == id {
			return database, true
		}
	}
	refuse(w, http.StatusNotFound, "object_not_found", "Could not find database with ID: "+id+".")
	return nil, false
}

// answerList answers with a part of a list. Its cursor is the ID of the entry with which the next begins.
func answerList(w http.ResponseWriter, r *http.Request, list []object) {
	var query struct {
		StartCursor string `json:"start_cursor"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&query); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_json", "Error parsing JSON body.")
		return
	}
	if query.StartCursor != "" {
		start := slices.IndexFunc(list, func(entry object) bool { return entry["id"] == query.StartCursor })
		if start < 0 {
			refuse(w, http.StatusBadRequest, "validation_error", "The start_cursor provided is invalid.")
			return
		}
		list = list[start:]
	}
	var next any // null at the end
	if len(list) > notionEntries {
		next = list[notionEntries]["id"]
		list = list[:notionEntries]
	}
	answerNotion(w, http.StatusOK, object{
		"object": "list", "results": list, "has_more": next != nil, "next_cursor": next,
	})
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	answerNotion(w, status, object{"object": "error", "status": status, "code": code, "message": message})
}

func answerNotion(w http.ResponseWriter, status int, answer object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// It fails only if the caller has left.
	_ = json.NewEncoder(w).Encode(answer)
}
