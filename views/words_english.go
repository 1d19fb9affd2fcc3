package views

import (
	"fmt"

	"plugin-oauth/hooks/oauth"
)

// english is the language en. What it says of a provider's error stands in the package oauth.
type english struct{}

// What a person can do about most errors.
const (
	englishTellAuthor = " It is not your fault. Tell the plugin's author."
	englishTryAgain   = " It is not your fault. Try again in a moment; if it stays, tell the plugin's author."
)

func (english) SignedIn() string        { return "You are signed in" }
func (english) Cancelled() string       { return "Sign-in cancelled" }
func (english) Failed() string          { return "Sign-in failed" }
func (english) TookTooLong() string     { return "This sign-in took too long" }
func (english) NotFinished() string     { return "Not finished yet" }
func (english) NothingHere() string     { return "Nothing here" }
func (english) NothingToFinish() string { return "Nothing to finish here" }
func (english) OneMoment() string       { return "One moment, please" }
func (english) DidYouStart() string     { return "Did you start this sign-in?" }

func (english) Connected() string        { return "{plugin} is connected to {provider}." }
func (english) ConnectedUnnamed() string { return "The plugin is connected to {provider}." }
func (english) Close() string            { return "You can close this window and return to {app}." }
func (english) StartAgain() string {
	return "Close this window, return to {app} and start the sign-in again."
}
func (english) StillWaits() string {
	return "If the plugin still seems to wait, close it and open it again."
}
func (english) ReturnTo() string   { return "Return to {app}" }
func (english) LoadsAgain() string { return "This page loads again by itself." }

func (english) Started() string { return "It was started {ago}." }
func (english) StartedElsewhere() string {
	return "It was started {ago}, on another network than yours."
}

func (english) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "less than a minute ago"
	case 1:
		return "a minute ago"
	}
	return fmt.Sprintf("%d minutes ago", minutes)
}

func (english) GivesAway() string {
	return "If you continue, whoever started it gets into your {provider} account through {plugin}."
}
func (english) GivesAwayUnnamed() string {
	return "If you continue, whoever started it gets into your {provider} account through this plugin."
}
func (english) OnlyIfYou() string {
	return "Continue only if that was you, in {app}. If somebody sent you a link, cancel. Do not reload " +
		"this page."
}
func (english) Cancel() string   { return "Cancel" }
func (english) Continue() string { return "Continue" }
func (english) ChooseAfterRestart() string {
	return "The service is restarting. Please choose in a moment."
}
func (english) ChooseLater() string { return "Many people are signing in. Please choose in a moment." }

func (english) ProviderRefused() string { return oauth.Refused.ForPerson() }
func (english) AccessDenied() string    { return oauth.Denied.ForPerson() }
func (english) ClientRefused() string   { return oauth.InvalidClient.ForPerson() }
func (english) GrantRefused() string    { return oauth.InvalidGrant.ForPerson() }
func (english) ScopeRefused() string    { return oauth.InvalidScope.ForPerson() }
func (english) AddressUnknown() string  { return oauth.InvalidRedirectURI.ForPerson() }
func (english) RequestRefused() string  { return oauth.InvalidRequest.ForPerson() }
func (english) ProviderFailed() string  { return oauth.ProviderFailed.ForPerson() }
func (english) TimedOut() string        { return oauth.TimedOut.ForPerson() }
func (english) Unreachable() string     { return oauth.Unreachable.ForPerson() }
func (english) NoAccess() string        { return oauth.NotOAuth.ForPerson() }
func (english) OtherProvider() string   { return oauth.OtherIssuer.ForPerson() }
func (english) NoAnswer() string        { return oauth.NoCode.ForPerson() }
func (english) ConsentRequired() string { return oauth.ConsentRequired.ForPerson() }

func (english) DoneOrStartAgain() string {
	return "If you have just signed in, all is done. If not, start the sign-in again in the plugin."
}
func (english) ForeignChoice() string {
	return "The answer did not come from the page that asks. Nothing was shared. If you started this " +
		"sign-in, start it again in the plugin."
}
func (english) TooMuchTime() string {
	return "Too much time passed before it was finished. Nothing was shared."
}
func (english) EndedBefore() string {
	return "This sign-in was ended before it was finished. Nothing was shared."
}
func (english) UnknownSignIn() string {
	return "This sign-in is not known here. It may be too old, or the address is not complete."
}
func (english) FailedBefore() string {
	return "This sign-in did not work. It is not your fault. Start it again in the plugin; if it stays, " +
		"tell the plugin's author."
}
func (english) ManySignIns() string     { return "Many people are signing in at the moment." }
func (english) BeingFinished() string   { return "Your sign-in is being finished." }
func (english) Restarting() string      { return "The service is restarting." }
func (english) StartAgainThere() string { return "If the plugin stays signed out, start again there." }
func (english) NoPlugin() string        { return "No plugin is set up here yet." + englishTellAuthor }
func (english) NotUsable() string {
	return "This plugin cannot be used at the moment." + englishTellAuthor
}
func (english) SwitchedOff() string   { return "This plugin is switched off." }
func (english) NoSuchAddress() string { return "There is no such address." }
func (english) NotForPeople() string  { return "This address is made for plugins and providers." }
func (english) Fault() string         { return "Something went wrong here." + englishTryAgain }
func (english) NotRead() string {
	return "The request could not be read. Start the sign-in again in the plugin."
}
