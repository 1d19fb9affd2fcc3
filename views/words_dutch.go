package views

import "fmt"

// dutch is the language nl. It says "je", as sign-in pages do there.
type dutch struct{}

// What a person can do about most errors.
const (
	dutchTellAuthor = " Het ligt niet aan jou. Vertel het de maker van de plugin."
	dutchTryAgain   = " Het ligt niet aan jou. Probeer het zo nog eens; blijft het zo, vertel het dan de " +
		"maker van de plugin."
)

func (dutch) SignedIn() string        { return "Je bent ingelogd" }
func (dutch) Cancelled() string       { return "Inloggen geannuleerd" }
func (dutch) Failed() string          { return "Inloggen mislukt" }
func (dutch) TookTooLong() string     { return "Dit inloggen duurde te lang" }
func (dutch) NotFinished() string     { return "Nog niet klaar" }
func (dutch) NothingHere() string     { return "Hier is niets" }
func (dutch) NothingToFinish() string { return "Hier valt niets af te ronden" }
func (dutch) OneMoment() string       { return "Een ogenblik" }
func (dutch) DidYouStart() string     { return "Ben jij hier met inloggen begonnen?" }

func (dutch) Connected() string        { return "{plugin} is verbonden met {provider}." }
func (dutch) ConnectedUnnamed() string { return "De plugin is verbonden met {provider}." }
func (dutch) Close() string            { return "Je kunt dit venster sluiten en teruggaan naar {app}." }
func (dutch) StartAgain() string {
	return "Sluit dit venster, ga terug naar {app} en begin opnieuw met inloggen."
}
func (dutch) StillWaits() string {
	return "Lijkt de plugin nog te wachten? Sluit hem dan en open hem weer."
}
func (dutch) ReturnTo() string   { return "Terug naar {app}" }
func (dutch) LoadsAgain() string { return "Deze pagina laadt vanzelf opnieuw." }

func (dutch) Started() string { return "Het inloggen is {ago} begonnen." }
func (dutch) StartedElsewhere() string {
	return "Het inloggen is {ago} begonnen, op een ander netwerk dan het jouwe."
}

func (dutch) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "minder dan een minuut geleden"
	case 1:
		return "een minuut geleden"
	}
	return fmt.Sprintf("%d minuten geleden", minutes)
}

func (dutch) GivesAway() string {
	return "Als je doorgaat, krijgt wie ermee begonnen is via {plugin} toegang tot je account bij {provider}."
}
func (dutch) GivesAwayUnnamed() string {
	return "Als je doorgaat, krijgt wie ermee begonnen is via deze plugin toegang tot je account bij " +
		"{provider}."
}
func (dutch) OnlyIfYou() string {
	return "Ga alleen door als jij dat was, in {app}. Heeft iemand je een link gestuurd? Annuleer dan. " +
		"Laad deze pagina niet opnieuw."
}
func (dutch) Cancel() string             { return "Annuleren" }
func (dutch) Continue() string           { return "Doorgaan" }
func (dutch) ChooseAfterRestart() string { return "De dienst start opnieuw op. Kies zo nog eens." }
func (dutch) ChooseLater() string        { return "Er loggen nu veel mensen in. Kies zo nog eens." }

func (dutch) ProviderRefused() string {
	return "De aanbieder heeft het inloggen geweigerd." + dutchTellAuthor
}
func (dutch) AccessDenied() string {
	return "Het inloggen is geannuleerd, of er is geen toegang gegeven. De plugin heeft geen toegang."
}
func (dutch) ClientRefused() string {
	return "De aanbieder accepteert de plugin zelf niet." + dutchTellAuthor
}
func (dutch) GrantRefused() string {
	return "De aanbieder accepteert dit inloggen niet meer. Log opnieuw in. Gebeurt het elke keer, vertel " +
		"het dan de maker van de plugin."
}
func (dutch) ScopeRefused() string {
	return "De plugin vraagt de aanbieder om iets wat die niet biedt." + dutchTellAuthor
}
func (dutch) AddressUnknown() string {
	return "De aanbieder kent het adres niet waar dit inloggen naar terugleidt." + dutchTellAuthor
}
func (dutch) RequestRefused() string {
	return "De aanbieder accepteert de manier niet waarop de plugin om toegang vraagt." + dutchTellAuthor
}
func (dutch) ProviderFailed() string { return "De aanbieder heeft zelf een probleem." + dutchTryAgain }
func (dutch) TimedOut() string {
	return "De aanbieder deed er te lang over om te antwoorden." + dutchTryAgain
}
func (dutch) Unreachable() string { return "De aanbieder was niet bereikbaar." + dutchTryAgain }
func (dutch) NoAccess() string {
	return "De aanbieder gaf een antwoord zonder toegang voor de plugin." + dutchTryAgain
}
func (dutch) OtherProvider() string {
	return "Het antwoord komt van een andere aanbieder dan die gevraagd is. Er is niets gedeeld." +
		dutchTellAuthor
}
func (dutch) NoAnswer() string {
	return "De aanbieder heeft je zonder antwoord teruggestuurd. Er is niets gedeeld." + dutchTryAgain
}
func (dutch) ConsentRequired() string {
	return "De aanbieder wacht tot jij, of de eigenaar van het account, daar inlogt of toegang geeft. " +
		"Begin daarna in de plugin opnieuw met inloggen."
}

func (dutch) DoneOrStartAgain() string {
	return "Als je net hebt ingelogd, is alles klaar. Zo niet, begin dan in de plugin opnieuw met inloggen."
}
func (dutch) ForeignChoice() string {
	return "Het antwoord kwam niet van de pagina die het vraagt. Er is niets gedeeld. Was jij aan het " +
		"inloggen? Begin dan opnieuw in de plugin."
}
func (dutch) TooMuchTime() string {
	return "Het duurde te lang voordat het was afgerond. Er is niets gedeeld."
}
func (dutch) EndedBefore() string {
	return "Dit inloggen is beëindigd voordat het was afgerond. Er is niets gedeeld."
}
func (dutch) UnknownSignIn() string {
	return "Dit inloggen is hier niet bekend. Misschien is het te lang geleden, of is het adres niet " +
		"compleet."
}
func (dutch) FailedBefore() string {
	return "Dit inloggen is niet gelukt. Het ligt niet aan jou. Begin opnieuw in de plugin; blijft het zo, " +
		"vertel het dan de maker van de plugin."
}
func (dutch) ManySignIns() string   { return "Er loggen op dit moment veel mensen in." }
func (dutch) BeingFinished() string { return "Het inloggen wordt afgerond." }
func (dutch) Restarting() string    { return "De dienst start opnieuw op." }
func (dutch) StartAgainThere() string {
	return "Is de plugin zo nog niet ingelogd, begin daar dan opnieuw."
}
func (dutch) NoPlugin() string { return "Hier is nog geen plugin ingesteld." + dutchTellAuthor }
func (dutch) NotUsable() string {
	return "Deze plugin kan op dit moment niet worden gebruikt." + dutchTellAuthor
}
func (dutch) SwitchedOff() string   { return "Deze plugin is uitgeschakeld." }
func (dutch) NoSuchAddress() string { return "Dit adres bestaat niet." }
func (dutch) NotForPeople() string  { return "Dit adres is bedoeld voor plugins en aanbieders." }
func (dutch) Fault() string         { return "Er is hier iets misgegaan." + dutchTryAgain }
func (dutch) NotRead() string {
	return "Het verzoek kon niet worden gelezen. Begin in de plugin opnieuw met inloggen."
}
