//go:build !unix

package hooks

// restrictUmask does nothing: a folder of a user is private here unless it is shared.
func restrictUmask() {}
