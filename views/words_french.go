package views

import "fmt"

// french is the language fr. It says "vous".
type french struct{}

// What a person can do about most errors.
const (
	frenchTellAuthor = " Vous n’y êtes pour rien. Prévenez l’auteur du plugin."
	frenchTryAgain   = " Vous n’y êtes pour rien. Réessayez dans un instant ; si le problème persiste, " +
		"prévenez l’auteur du plugin."
)

func (french) SignedIn() string        { return "Connexion réussie" }
func (french) Cancelled() string       { return "Connexion annulée" }
func (french) Failed() string          { return "Échec de la connexion" }
func (french) TookTooLong() string     { return "Cette connexion a pris trop de temps" }
func (french) NotFinished() string     { return "Pas encore terminé" }
func (french) NothingHere() string     { return "Il n’y a rien ici" }
func (french) NothingToFinish() string { return "Il n’y a rien à terminer ici" }
func (french) OneMoment() string       { return "Un instant, s’il vous plaît" }
func (french) DidYouStart() string     { return "Avez-vous lancé cette connexion ?" }

func (french) Connected() string        { return "{plugin} est relié à {provider}." }
func (french) ConnectedUnnamed() string { return "Le plugin est relié à {provider}." }
func (french) Close() string            { return "Vous pouvez fermer cette fenêtre et revenir à {app}." }
func (french) StartAgain() string {
	return "Fermez cette fenêtre, revenez à {app} et recommencez la connexion."
}
func (french) StillWaits() string {
	return "Si le plugin semble encore attendre, fermez-le et rouvrez-le."
}
func (french) ReturnTo() string   { return "Revenir à {app}" }
func (french) LoadsAgain() string { return "Cette page se recharge d’elle-même." }

func (french) Started() string { return "Elle a été lancée {ago}." }
func (french) StartedElsewhere() string {
	return "Elle a été lancée {ago}, depuis un autre réseau que le vôtre."
}

func (french) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "il y a moins d’une minute"
	case 1:
		return "il y a une minute"
	}
	return fmt.Sprintf("il y a %d minutes", minutes)
}

func (french) GivesAway() string {
	return "Si vous continuez, la personne qui l’a lancée aura accès à votre compte {provider} par " +
		"l’intermédiaire de {plugin}."
}
func (french) GivesAwayUnnamed() string {
	return "Si vous continuez, la personne qui l’a lancée aura accès à votre compte {provider} par " +
		"l’intermédiaire de ce plugin."
}
func (french) OnlyIfYou() string {
	return "Ne continuez que si c’était vous, dans {app}. Si quelqu’un vous a envoyé un lien, annulez. Ne " +
		"rechargez pas cette page."
}
func (french) Cancel() string   { return "Annuler" }
func (french) Continue() string { return "Continuer" }
func (french) ChooseAfterRestart() string {
	return "Le service redémarre. Veuillez choisir à nouveau dans un instant."
}
func (french) ChooseLater() string {
	return "Beaucoup de personnes se connectent en ce moment. Veuillez choisir à nouveau dans un instant."
}

func (french) ProviderRefused() string {
	return "Le fournisseur a refusé la connexion." + frenchTellAuthor
}
func (french) AccessDenied() string {
	return "La connexion a été annulée, ou l’accès n’a pas été autorisé. Le plugin n’a aucun accès."
}
func (french) ClientRefused() string {
	return "Le fournisseur n’accepte pas le plugin lui-même." + frenchTellAuthor
}
func (french) GrantRefused() string {
	return "Le fournisseur n’accepte plus cette connexion. Veuillez vous connecter à nouveau. Si cela " +
		"arrive à chaque fois, prévenez l’auteur du plugin."
}
func (french) ScopeRefused() string {
	return "Le plugin demande au fournisseur quelque chose qu’il n’offre pas." + frenchTellAuthor
}
func (french) AddressUnknown() string {
	return "Le fournisseur ne connaît pas l’adresse à laquelle cette connexion ramène." + frenchTellAuthor
}
func (french) RequestRefused() string {
	return "Le fournisseur n’accepte pas la façon dont le plugin demande l’accès." + frenchTellAuthor
}
func (french) ProviderFailed() string {
	return "Le fournisseur a lui-même un problème." + frenchTryAgain
}
func (french) TimedOut() string {
	return "Le fournisseur a mis trop de temps à répondre." + frenchTryAgain
}
func (french) Unreachable() string {
	return "Le fournisseur n’a pas pu être joint." + frenchTryAgain
}
func (french) NoAccess() string {
	return "Le fournisseur a répondu sans donner d’accès au plugin." + frenchTryAgain
}
func (french) OtherProvider() string {
	return "La réponse vient d’un autre fournisseur que celui qui a été interrogé. Rien n’a été partagé." +
		frenchTellAuthor
}
func (french) NoAnswer() string {
	return "Le fournisseur vous a renvoyé sans réponse. Rien n’a été partagé." + frenchTryAgain
}
func (french) ConsentRequired() string {
	return "Le fournisseur attend que vous, ou le propriétaire du compte, vous connectiez chez lui ou " +
		"autorisiez l’accès. Ensuite, recommencez la connexion dans le plugin."
}

func (french) DoneOrStartAgain() string {
	return "Si vous venez de vous connecter, tout est fait. Sinon, recommencez la connexion dans le plugin."
}
func (french) ForeignChoice() string {
	return "La réponse ne vient pas de la page qui pose la question. Rien n’a été partagé. Si vous avez " +
		"lancé cette connexion, recommencez-la dans le plugin."
}
func (french) TooMuchTime() string {
	return "Trop de temps s’est écoulé avant la fin. Rien n’a été partagé."
}
func (french) EndedBefore() string {
	return "Cette connexion a été interrompue avant la fin. Rien n’a été partagé."
}
func (french) UnknownSignIn() string {
	return "Cette connexion n’est pas connue ici. Elle est peut-être trop ancienne, ou l’adresse est " +
		"incomplète."
}
func (french) FailedBefore() string {
	return "Cette connexion n’a pas fonctionné. Vous n’y êtes pour rien. Recommencez-la dans le plugin ; " +
		"si le problème persiste, prévenez l’auteur du plugin."
}
func (french) ManySignIns() string   { return "Beaucoup de personnes se connectent en ce moment." }
func (french) BeingFinished() string { return "Votre connexion est en train de se terminer." }
func (french) Restarting() string    { return "Le service redémarre." }
func (french) StartAgainThere() string {
	return "Si le plugin n’est pas connecté dans un instant, recommencez dans le plugin."
}
func (french) NoPlugin() string {
	return "Aucun plugin n’est encore installé ici." + frenchTellAuthor
}
func (french) NotUsable() string {
	return "Ce plugin ne peut pas être utilisé pour le moment." + frenchTellAuthor
}
func (french) SwitchedOff() string   { return "Ce plugin est désactivé." }
func (french) NoSuchAddress() string { return "Cette adresse n’existe pas." }
func (french) NotForPeople() string {
	return "Cette adresse est faite pour les plugins et les fournisseurs."
}
func (french) Fault() string { return "Un problème est survenu ici." + frenchTryAgain }
func (french) NotRead() string {
	return "La demande n’a pas pu être lue. Recommencez la connexion dans le plugin."
}
