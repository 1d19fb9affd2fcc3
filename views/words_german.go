package views

import "fmt"

// german is the language de. It says "Sie".
type german struct{}

// What a person can do about most errors.
const (
	germanTellAuthor = " Es liegt nicht an Ihnen. Sagen Sie dem Autor des Plugins Bescheid."
	germanTryAgain   = " Es liegt nicht an Ihnen. Versuchen Sie es gleich noch einmal; wenn es dabei " +
		"bleibt, sagen Sie dem Autor des Plugins Bescheid."
)

func (german) SignedIn() string        { return "Sie sind angemeldet" }
func (german) Cancelled() string       { return "Anmeldung abgebrochen" }
func (german) Failed() string          { return "Anmeldung fehlgeschlagen" }
func (german) TookTooLong() string     { return "Diese Anmeldung hat zu lange gedauert" }
func (german) NotFinished() string     { return "Noch nicht fertig" }
func (german) NothingHere() string     { return "Hier ist nichts" }
func (german) NothingToFinish() string { return "Hier gibt es nichts abzuschließen" }
func (german) OneMoment() string       { return "Einen Moment, bitte" }
func (german) DidYouStart() string     { return "Haben Sie diese Anmeldung begonnen?" }

func (german) Connected() string        { return "{plugin} ist jetzt mit {provider} verbunden." }
func (german) ConnectedUnnamed() string { return "Das Plugin ist jetzt mit {provider} verbunden." }
func (german) Close() string {
	return "Sie können dieses Fenster schließen und zu {app} zurückkehren."
}
func (german) StartAgain() string {
	return "Schließen Sie dieses Fenster, kehren Sie zu {app} zurück und beginnen Sie die Anmeldung noch " +
		"einmal."
}
func (german) StillWaits() string {
	return "Wenn das Plugin weiter zu warten scheint, schließen Sie es und öffnen Sie es wieder."
}
func (german) ReturnTo() string   { return "Zurück zu {app}" }
func (german) LoadsAgain() string { return "Diese Seite lädt von selbst neu." }

func (german) Started() string { return "Die Anmeldung wurde {ago} begonnen." }
func (german) StartedElsewhere() string {
	return "Die Anmeldung wurde {ago} begonnen, in einem anderen Netzwerk als Ihrem."
}

func (german) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "vor weniger als einer Minute"
	case 1:
		return "vor einer Minute"
	}
	return fmt.Sprintf("vor %d Minuten", minutes)
}

func (german) GivesAway() string {
	return "Wenn Sie fortfahren, erhält die Person, die sie begonnen hat, über {plugin} Zugang zu Ihrem " +
		"Konto bei {provider}."
}
func (german) GivesAwayUnnamed() string {
	return "Wenn Sie fortfahren, erhält die Person, die sie begonnen hat, über dieses Plugin Zugang zu " +
		"Ihrem Konto bei {provider}."
}
func (german) OnlyIfYou() string {
	return "Fahren Sie nur fort, wenn Sie das selbst waren, in {app}. Wenn Ihnen jemand einen Link " +
		"geschickt hat, brechen Sie ab. Laden Sie diese Seite nicht neu."
}
func (german) Cancel() string   { return "Abbrechen" }
func (german) Continue() string { return "Fortfahren" }
func (german) ChooseAfterRestart() string {
	return "Der Dienst startet gerade neu. Bitte wählen Sie gleich noch einmal."
}
func (german) ChooseLater() string {
	return "Gerade melden sich viele Leute an. Bitte wählen Sie gleich noch einmal."
}

func (german) ProviderRefused() string {
	return "Der Anbieter hat die Anmeldung abgelehnt." + germanTellAuthor
}
func (german) AccessDenied() string {
	return "Die Anmeldung wurde abgebrochen, oder der Zugriff wurde nicht erlaubt. Das Plugin hat keinen " +
		"Zugriff."
}
func (german) ClientRefused() string {
	return "Der Anbieter akzeptiert das Plugin selbst nicht." + germanTellAuthor
}
func (german) GrantRefused() string {
	return "Der Anbieter akzeptiert diese Anmeldung nicht mehr. Bitte melden Sie sich noch einmal an. Wenn " +
		"es jedes Mal passiert, sagen Sie dem Autor des Plugins Bescheid."
}
func (german) ScopeRefused() string {
	return "Das Plugin verlangt vom Anbieter etwas, das dieser nicht anbietet." + germanTellAuthor
}
func (german) AddressUnknown() string {
	return "Der Anbieter kennt die Adresse nicht, zu der diese Anmeldung zurückführt." + germanTellAuthor
}
func (german) RequestRefused() string {
	return "Der Anbieter akzeptiert nicht, wie das Plugin anfragt." + germanTellAuthor
}
func (german) ProviderFailed() string {
	return "Der Anbieter hat selbst gerade ein Problem." + germanTryAgain
}
func (german) TimedOut() string {
	return "Der Anbieter hat zu lange nicht geantwortet." + germanTryAgain
}
func (german) Unreachable() string { return "Der Anbieter war nicht zu erreichen." + germanTryAgain }
func (german) NoAccess() string {
	return "Der Anbieter hat geantwortet, dem Plugin aber keinen Zugriff gegeben." + germanTryAgain
}
func (german) OtherProvider() string {
	return "Die Antwort kommt von einem anderen Anbieter als dem, der gefragt wurde. Es wurde nichts " +
		"weitergegeben." + germanTellAuthor
}
func (german) NoAnswer() string {
	return "Der Anbieter hat Sie ohne Antwort zurückgeschickt. Es wurde nichts weitergegeben." +
		germanTryAgain
}
func (german) ConsentRequired() string {
	return "Der Anbieter wartet darauf, dass Sie oder die Person, der das Konto gehört, sich dort anmelden " +
		"oder den Zugriff erlauben. Beginnen Sie danach die Anmeldung im Plugin noch einmal."
}

func (german) DoneOrStartAgain() string {
	return "Wenn Sie sich gerade angemeldet haben, ist alles erledigt. Wenn nicht, beginnen Sie die " +
		"Anmeldung im Plugin noch einmal."
}
func (german) ForeignChoice() string {
	return "Die Antwort kam nicht von der Seite, die fragt. Es wurde nichts weitergegeben. Wenn Sie diese " +
		"Anmeldung begonnen haben, beginnen Sie sie im Plugin noch einmal."
}
func (german) TooMuchTime() string {
	return "Bis zum Abschluss ist zu viel Zeit vergangen. Es wurde nichts weitergegeben."
}
func (german) EndedBefore() string {
	return "Diese Anmeldung wurde beendet, bevor sie abgeschlossen war. Es wurde nichts weitergegeben."
}
func (german) UnknownSignIn() string {
	return "Diese Anmeldung ist hier nicht bekannt. Vielleicht ist sie zu alt, oder die Adresse ist nicht " +
		"vollständig."
}
func (german) FailedBefore() string {
	return "Diese Anmeldung hat nicht geklappt. Es liegt nicht an Ihnen. Beginnen Sie sie im Plugin noch " +
		"einmal; wenn es dabei bleibt, sagen Sie dem Autor des Plugins Bescheid."
}
func (german) ManySignIns() string   { return "Gerade melden sich viele Leute an." }
func (german) BeingFinished() string { return "Ihre Anmeldung wird gerade abgeschlossen." }
func (german) Restarting() string    { return "Der Dienst startet gerade neu." }
func (german) StartAgainThere() string {
	return "Wenn das Plugin gleich noch nicht angemeldet ist, beginnen Sie dort noch einmal."
}
func (german) NoPlugin() string { return "Hier ist noch kein Plugin eingerichtet." + germanTellAuthor }
func (german) NotUsable() string {
	return "Dieses Plugin kann gerade nicht benutzt werden." + germanTellAuthor
}
func (german) SwitchedOff() string   { return "Dieses Plugin ist abgeschaltet." }
func (german) NoSuchAddress() string { return "Diese Adresse gibt es nicht." }
func (german) NotForPeople() string  { return "Diese Adresse ist für Plugins und Anbieter gedacht." }
func (german) Fault() string         { return "Hier ist etwas schiefgegangen." + germanTryAgain }
func (german) NotRead() string {
	return "Die Anfrage konnte nicht gelesen werden. Beginnen Sie die Anmeldung im Plugin noch einmal."
}
