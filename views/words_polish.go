package views

import (
	"fmt"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// polish is the language pl. It avoids forms that depend on the reader's gender.
type polish struct{}

// What a person can do about most errors.
const (
	polishTellAuthor = " To nie Twoja wina. Powiadom autora wtyczki."
	polishTryAgain   = " To nie Twoja wina. Spróbuj ponownie za chwilę; jeśli to nie pomoże, powiadom " +
		"autora wtyczki."
)

func (polish) SignedIn() string        { return "Zalogowano" }
func (polish) Cancelled() string       { return "Logowanie anulowane" }
func (polish) Failed() string          { return "Logowanie nie powiodło się" }
func (polish) TookTooLong() string     { return "To logowanie trwało zbyt długo" }
func (polish) NotFinished() string     { return "To jeszcze nie koniec" }
func (polish) NothingHere() string     { return "Nic tu nie ma" }
func (polish) NothingToFinish() string { return "Nie ma tu nic do dokończenia" }
func (polish) OneMoment() string       { return "Chwileczkę" }
func (polish) DidYouStart() string     { return "Czy to Twoje logowanie?" }

func (polish) Connected() string        { return "Wtyczka {plugin} jest połączona z {provider}." }
func (polish) ConnectedUnnamed() string { return "Wtyczka jest połączona z {provider}." }
func (polish) Close() string            { return "Możesz zamknąć to okno i wrócić do {app}." }
func (polish) StartAgain() string {
	return "Zamknij to okno, wróć do {app} i zacznij logowanie od nowa."
}
func (polish) StillWaits() string {
	return "Jeśli wtyczka nadal czeka, zamknij ją i otwórz ponownie."
}
func (polish) ReturnTo() string   { return "Wróć do {app}" }
func (polish) LoadsAgain() string { return "Ta strona odświeży się sama." }

func (polish) Started() string          { return "Rozpoczęto je {ago}." }
func (polish) StartedElsewhere() string { return "Rozpoczęto je {ago}, w innej sieci niż Twoja." }

func (polish) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "niecałą minutę temu"
	case 1:
		return "minutę temu"
	}
	switch pluralOf(language.Polish, minutes) {
	case plural.Few:
		return fmt.Sprintf("%d minuty temu", minutes)
	}
	return fmt.Sprintf("%d minut temu", minutes)
}

func (polish) GivesAway() string {
	return "Jeśli wybierzesz „Kontynuuj”, osoba, która je rozpoczęła, uzyska dostęp do Twojego konta " +
		"{provider} przez wtyczkę {plugin}."
}
func (polish) GivesAwayUnnamed() string {
	return "Jeśli wybierzesz „Kontynuuj”, osoba, która je rozpoczęła, uzyska dostęp do Twojego konta " +
		"{provider} przez tę wtyczkę."
}
func (polish) OnlyIfYou() string {
	return "Kontynuuj tylko wtedy, gdy logowanie zaczęło się od Ciebie, w {app}. Jeśli ktoś przysłał Ci " +
		"link, anuluj. Nie odświeżaj tej strony."
}
func (polish) Cancel() string   { return "Anuluj" }
func (polish) Continue() string { return "Kontynuuj" }
func (polish) ChooseAfterRestart() string {
	return "Usługa uruchamia się ponownie. Wybierz za chwilę jeszcze raz."
}
func (polish) ChooseLater() string {
	return "Loguje się teraz wiele osób. Wybierz za chwilę jeszcze raz."
}

func (polish) ProviderRefused() string { return "Dostawca odrzucił logowanie." + polishTellAuthor }
func (polish) AccessDenied() string {
	return "Logowanie anulowano albo nie zezwolono na dostęp. Wtyczka nie ma dostępu."
}
func (polish) ClientRefused() string {
	return "Dostawca nie akceptuje samej wtyczki." + polishTellAuthor
}
func (polish) GrantRefused() string {
	return "Dostawca nie akceptuje już tego logowania. Zaloguj się ponownie. Jeśli zdarza się to za każdym " +
		"razem, powiadom autora wtyczki."
}
func (polish) ScopeRefused() string {
	return "Wtyczka prosi dostawcę o coś, czego on nie oferuje." + polishTellAuthor
}
func (polish) AddressUnknown() string {
	return "Dostawca nie zna adresu, do którego prowadzi to logowanie." + polishTellAuthor
}
func (polish) RequestRefused() string {
	return "Dostawca nie akceptuje sposobu, w jaki wtyczka prosi o dostęp." + polishTellAuthor
}
func (polish) ProviderFailed() string { return "Dostawca sam ma teraz problem." + polishTryAgain }
func (polish) TimedOut() string       { return "Dostawca zbyt długo nie odpowiadał." + polishTryAgain }
func (polish) Unreachable() string {
	return "Nie udało się połączyć z dostawcą." + polishTryAgain
}
func (polish) NoAccess() string {
	return "Dostawca odpowiedział, ale nie dał wtyczce dostępu." + polishTryAgain
}
func (polish) OtherProvider() string {
	return "Odpowiedź przyszła od innego dostawcy niż ten, którego pytano. Niczego nie udostępniono." +
		polishTellAuthor
}
func (polish) NoAnswer() string {
	return "Dostawca odesłał Cię bez odpowiedzi. Niczego nie udostępniono." + polishTryAgain
}
func (polish) ConsentRequired() string {
	return "Dostawca czeka, aż Ty lub właściciel konta zalogujecie się u niego albo zezwolicie na dostęp. " +
		"Potem zacznij logowanie we wtyczce od nowa."
}

func (polish) DoneOrStartAgain() string {
	return "Jeśli logowanie właśnie się udało, to już wszystko. Jeśli nie, zacznij logowanie we wtyczce od " +
		"nowa."
}
func (polish) ForeignChoice() string {
	return "Odpowiedź nie przyszła ze strony, która zadaje pytanie. Niczego nie udostępniono. Jeśli to " +
		"Twoje logowanie, zacznij je we wtyczce od nowa."
}
func (polish) TooMuchTime() string {
	return "Minęło zbyt dużo czasu, zanim je ukończono. Niczego nie udostępniono."
}
func (polish) EndedBefore() string {
	return "To logowanie zakończono, zanim je ukończono. Niczego nie udostępniono."
}
func (polish) UnknownSignIn() string {
	return "To logowanie nie jest tu znane. Może jest zbyt stare albo adres jest niepełny."
}
func (polish) FailedBefore() string {
	return "To logowanie się nie udało. To nie Twoja wina. Zacznij je we wtyczce od nowa; jeśli to nie " +
		"pomoże, powiadom autora wtyczki."
}
func (polish) ManySignIns() string   { return "W tej chwili loguje się wiele osób." }
func (polish) BeingFinished() string { return "Twoje logowanie właśnie się kończy." }
func (polish) Restarting() string    { return "Usługa uruchamia się ponownie." }
func (polish) StartAgainThere() string {
	return "Jeśli za chwilę wtyczka nadal nie będzie zalogowana, zacznij w niej od nowa."
}
func (polish) NoPlugin() string {
	return "Nie ustawiono tu jeszcze żadnej wtyczki." + polishTellAuthor
}
func (polish) NotUsable() string     { return "Tej wtyczki nie można teraz używać." + polishTellAuthor }
func (polish) SwitchedOff() string   { return "Ta wtyczka jest wyłączona." }
func (polish) NoSuchAddress() string { return "Nie ma takiego adresu." }
func (polish) NotForPeople() string  { return "Ten adres jest przeznaczony dla wtyczek i dostawców." }
func (polish) Fault() string         { return "Coś poszło tu nie tak." + polishTryAgain }
func (polish) NotRead() string {
	return "Nie udało się odczytać żądania. Zacznij logowanie we wtyczce od nowa."
}
