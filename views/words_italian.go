package views

import "fmt"

// italian is the language it. It says "tu", as sign-in pages do there.
type italian struct{}

// What a person can do about most errors.
const (
	italianTellAuthor = " Non è colpa tua. Avvisa l’autore del plugin."
	italianTryAgain   = " Non è colpa tua. Riprova tra poco; se il problema resta, avvisa l’autore del " +
		"plugin."
)

func (italian) SignedIn() string        { return "Hai effettuato l’accesso" }
func (italian) Cancelled() string       { return "Accesso annullato" }
func (italian) Failed() string          { return "Accesso non riuscito" }
func (italian) TookTooLong() string     { return "Questo accesso ha richiesto troppo tempo" }
func (italian) NotFinished() string     { return "Non è ancora finito" }
func (italian) NothingHere() string     { return "Qui non c’è nulla" }
func (italian) NothingToFinish() string { return "Qui non c’è nulla da completare" }
func (italian) OneMoment() string       { return "Un momento, per favore" }
func (italian) DidYouStart() string     { return "Hai avviato tu questo accesso?" }

func (italian) Connected() string        { return "{plugin} è collegato a {provider}." }
func (italian) ConnectedUnnamed() string { return "Il plugin è collegato a {provider}." }
func (italian) Close() string            { return "Puoi chiudere questa finestra e tornare a {app}." }
func (italian) StartAgain() string {
	return "Chiudi questa finestra, torna a {app} e avvia di nuovo l’accesso."
}
func (italian) StillWaits() string {
	return "Se il plugin sembra ancora in attesa, chiudilo e riaprilo."
}
func (italian) ReturnTo() string   { return "Torna a {app}" }
func (italian) LoadsAgain() string { return "Questa pagina si ricarica da sola." }

func (italian) Started() string { return "È stato avviato {ago}." }
func (italian) StartedElsewhere() string {
	return "È stato avviato {ago}, da una rete diversa dalla tua."
}

func (italian) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "meno di un minuto fa"
	case 1:
		return "un minuto fa"
	}
	return fmt.Sprintf("%d minuti fa", minutes)
}

func (italian) GivesAway() string {
	return "Se continui, chi lo ha avviato potrà entrare nel tuo account {provider} tramite {plugin}."
}
func (italian) GivesAwayUnnamed() string {
	return "Se continui, chi lo ha avviato potrà entrare nel tuo account {provider} tramite questo plugin."
}
func (italian) OnlyIfYou() string {
	return "Continua solo se l’hai avviato tu, in {app}. Se qualcuno ti ha inviato un link, annulla. Non " +
		"ricaricare questa pagina."
}
func (italian) Cancel() string   { return "Annulla" }
func (italian) Continue() string { return "Continua" }
func (italian) ChooseAfterRestart() string {
	return "Il servizio si sta riavviando. Scegli di nuovo tra poco."
}
func (italian) ChooseLater() string {
	return "Molte persone stanno effettuando l’accesso. Scegli di nuovo tra poco."
}

func (italian) ProviderRefused() string {
	return "Il provider ha rifiutato l’accesso." + italianTellAuthor
}
func (italian) AccessDenied() string {
	return "L’accesso è stato annullato o non è stato consentito. Il plugin non ha accesso."
}
func (italian) ClientRefused() string {
	return "Il provider non accetta il plugin stesso." + italianTellAuthor
}
func (italian) GrantRefused() string {
	return "Il provider non accetta più questo accesso. Accedi di nuovo. Se succede ogni volta, avvisa " +
		"l’autore del plugin."
}
func (italian) ScopeRefused() string {
	return "Il plugin chiede al provider qualcosa che questo non offre." + italianTellAuthor
}
func (italian) AddressUnknown() string {
	return "Il provider non conosce l’indirizzo a cui questo accesso riporta." + italianTellAuthor
}
func (italian) RequestRefused() string {
	return "Il provider non accetta il modo in cui il plugin chiede l’accesso." + italianTellAuthor
}
func (italian) ProviderFailed() string { return "Il provider stesso ha un problema." + italianTryAgain }
func (italian) TimedOut() string {
	return "Il provider ha impiegato troppo tempo a rispondere." + italianTryAgain
}
func (italian) Unreachable() string {
	return "Non è stato possibile raggiungere il provider." + italianTryAgain
}
func (italian) NoAccess() string {
	return "Il provider ha risposto senza dare accesso al plugin." + italianTryAgain
}
func (italian) OtherProvider() string {
	return "La risposta viene da un provider diverso da quello interpellato. Nulla è stato condiviso." +
		italianTellAuthor
}
func (italian) NoAnswer() string {
	return "Il provider ti ha rimandato qui senza una risposta. Nulla è stato condiviso." + italianTryAgain
}
func (italian) ConsentRequired() string {
	return "Il provider aspetta che tu, o il proprietario dell’account, acceda da loro o consenta " +
		"l’accesso. Poi avvia di nuovo l’accesso nel plugin."
}

func (italian) DoneOrStartAgain() string {
	return "Se hai appena effettuato l’accesso, è tutto fatto. Altrimenti, avvia di nuovo l’accesso nel " +
		"plugin."
}
func (italian) ForeignChoice() string {
	return "La risposta non viene dalla pagina che pone la domanda. Nulla è stato condiviso. Se hai " +
		"avviato tu questo accesso, avvialo di nuovo nel plugin."
}
func (italian) TooMuchTime() string {
	return "È passato troppo tempo prima della fine. Nulla è stato condiviso."
}
func (italian) EndedBefore() string {
	return "Questo accesso è stato interrotto prima della fine. Nulla è stato condiviso."
}
func (italian) UnknownSignIn() string {
	return "Questo accesso non è conosciuto qui. Forse è troppo vecchio, o l’indirizzo è incompleto."
}
func (italian) FailedBefore() string {
	return "Questo accesso non ha funzionato. Non è colpa tua. Avvialo di nuovo nel plugin; se il problema " +
		"resta, avvisa l’autore del plugin."
}
func (italian) ManySignIns() string {
	return "Molte persone stanno effettuando l’accesso in questo momento."
}
func (italian) BeingFinished() string { return "Stiamo completando il tuo accesso." }
func (italian) Restarting() string    { return "Il servizio si sta riavviando." }
func (italian) StartAgainThere() string {
	return "Se tra poco il plugin non risulta collegato, ricomincia da lì."
}
func (italian) NoPlugin() string {
	return "Qui non è ancora configurato alcun plugin." + italianTellAuthor
}
func (italian) NotUsable() string {
	return "Al momento questo plugin non può essere usato." + italianTellAuthor
}
func (italian) SwitchedOff() string   { return "Questo plugin è disattivato." }
func (italian) NoSuchAddress() string { return "Questo indirizzo non esiste." }
func (italian) NotForPeople() string  { return "Questo indirizzo è per plugin e provider." }
func (italian) Fault() string         { return "Qualcosa è andato storto qui." + italianTryAgain }
func (italian) NotRead() string {
	return "Non è stato possibile leggere la richiesta. Avvia di nuovo l’accesso nel plugin."
}
