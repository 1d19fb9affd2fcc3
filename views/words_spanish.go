package views

import "fmt"

// spanish is the language es. It says "usted".
type spanish struct{}

// What a person can do about most errors.
const (
	spanishTellAuthor = " No es culpa suya. Avise al autor del plugin."
	spanishTryAgain   = " No es culpa suya. Inténtelo de nuevo en un momento; si sigue igual, avise al " +
		"autor del plugin."
)

func (spanish) SignedIn() string        { return "Ha iniciado sesión" }
func (spanish) Cancelled() string       { return "Inicio de sesión cancelado" }
func (spanish) Failed() string          { return "No se pudo iniciar sesión" }
func (spanish) TookTooLong() string     { return "Este inicio de sesión tardó demasiado" }
func (spanish) NotFinished() string     { return "Aún no ha terminado" }
func (spanish) NothingHere() string     { return "Aquí no hay nada" }
func (spanish) NothingToFinish() string { return "Aquí no hay nada que terminar" }
func (spanish) OneMoment() string       { return "Un momento, por favor" }
func (spanish) DidYouStart() string     { return "¿Comenzó usted este inicio de sesión?" }

func (spanish) Connected() string        { return "{plugin} está conectado a {provider}." }
func (spanish) ConnectedUnnamed() string { return "El plugin está conectado a {provider}." }
func (spanish) Close() string            { return "Puede cerrar esta ventana y volver a {app}." }
func (spanish) StartAgain() string {
	return "Cierre esta ventana, vuelva a {app} y comience de nuevo el inicio de sesión."
}
func (spanish) StillWaits() string {
	return "Si parece que el plugin sigue esperando, ciérrelo y ábralo de nuevo."
}
func (spanish) ReturnTo() string   { return "Volver a {app}" }
func (spanish) LoadsAgain() string { return "Esta página se recarga sola." }

func (spanish) Started() string { return "Se comenzó {ago}." }
func (spanish) StartedElsewhere() string {
	return "Se comenzó {ago}, desde una red distinta de la suya."
}

func (spanish) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "hace menos de un minuto"
	case 1:
		return "hace un minuto"
	}
	return fmt.Sprintf("hace %d minutos", minutes)
}

func (spanish) GivesAway() string {
	return "Si continúa, quien lo comenzó tendrá acceso a su cuenta de {provider} a través de {plugin}."
}
func (spanish) GivesAwayUnnamed() string {
	return "Si continúa, quien lo comenzó tendrá acceso a su cuenta de {provider} a través de este plugin."
}
func (spanish) OnlyIfYou() string {
	return "Continúe solo si fue usted, en {app}. Si alguien le envió un enlace, cancele. No recargue esta " +
		"página."
}
func (spanish) Cancel() string   { return "Cancelar" }
func (spanish) Continue() string { return "Continuar" }
func (spanish) ChooseAfterRestart() string {
	return "El servicio se está reiniciando. Elija de nuevo en un momento."
}
func (spanish) ChooseLater() string {
	return "Muchas personas están iniciando sesión. Elija de nuevo en un momento."
}

func (spanish) ProviderRefused() string {
	return "El proveedor rechazó el inicio de sesión." + spanishTellAuthor
}
func (spanish) AccessDenied() string {
	return "Se canceló el inicio de sesión o no se permitió el acceso. El plugin no tiene acceso."
}
func (spanish) ClientRefused() string {
	return "El proveedor no acepta el propio plugin." + spanishTellAuthor
}
func (spanish) GrantRefused() string {
	return "El proveedor ya no acepta este inicio de sesión. Inicie sesión de nuevo. Si ocurre cada vez, " +
		"avise al autor del plugin."
}
func (spanish) ScopeRefused() string {
	return "El plugin pide al proveedor algo que este no ofrece." + spanishTellAuthor
}
func (spanish) AddressUnknown() string {
	return "El proveedor no conoce la dirección a la que vuelve este inicio de sesión." + spanishTellAuthor
}
func (spanish) RequestRefused() string {
	return "El proveedor no acepta la forma en que el plugin pide el acceso." + spanishTellAuthor
}
func (spanish) ProviderFailed() string {
	return "El propio proveedor tiene un problema." + spanishTryAgain
}
func (spanish) TimedOut() string {
	return "El proveedor tardó demasiado en responder." + spanishTryAgain
}
func (spanish) Unreachable() string {
	return "No se pudo contactar con el proveedor." + spanishTryAgain
}
func (spanish) NoAccess() string {
	return "El proveedor respondió sin dar acceso al plugin." + spanishTryAgain
}
func (spanish) OtherProvider() string {
	return "La respuesta viene de un proveedor distinto del que se consultó. No se compartió nada." +
		spanishTellAuthor
}
func (spanish) NoAnswer() string {
	return "El proveedor le envió de vuelta sin respuesta. No se compartió nada." + spanishTryAgain
}
func (spanish) ConsentRequired() string {
	return "El proveedor espera a que usted, o el propietario de la cuenta, inicie sesión allí o permita " +
		"el acceso. Después, comience de nuevo el inicio de sesión en el plugin."
}

func (spanish) DoneOrStartAgain() string {
	return "Si acaba de iniciar sesión, todo está listo. Si no, comience de nuevo el inicio de sesión en " +
		"el plugin."
}
func (spanish) ForeignChoice() string {
	return "La respuesta no vino de la página que pregunta. No se compartió nada. Si usted comenzó este " +
		"inicio de sesión, comiéncelo de nuevo en el plugin."
}
func (spanish) TooMuchTime() string {
	return "Pasó demasiado tiempo antes de terminar. No se compartió nada."
}
func (spanish) EndedBefore() string {
	return "Este inicio de sesión se detuvo antes de terminar. No se compartió nada."
}
func (spanish) UnknownSignIn() string {
	return "Este inicio de sesión no se conoce aquí. Puede ser demasiado antiguo, o la dirección está " +
		"incompleta."
}
func (spanish) FailedBefore() string {
	return "Este inicio de sesión no funcionó. No es culpa suya. Comiéncelo de nuevo en el plugin; si " +
		"sigue igual, avise al autor del plugin."
}
func (spanish) ManySignIns() string {
	return "Muchas personas están iniciando sesión en este momento."
}
func (spanish) BeingFinished() string { return "Su inicio de sesión está terminando." }
func (spanish) Restarting() string    { return "El servicio se está reiniciando." }
func (spanish) StartAgainThere() string {
	return "Si en un momento el plugin sigue sin sesión, comience de nuevo allí."
}
func (spanish) NoPlugin() string {
	return "Aquí todavía no hay ningún plugin configurado." + spanishTellAuthor
}
func (spanish) NotUsable() string {
	return "Este plugin no se puede usar en este momento." + spanishTellAuthor
}
func (spanish) SwitchedOff() string   { return "Este plugin está desactivado." }
func (spanish) NoSuchAddress() string { return "Esta dirección no existe." }
func (spanish) NotForPeople() string  { return "Esta dirección es para plugins y proveedores." }
func (spanish) Fault() string         { return "Algo salió mal aquí." + spanishTryAgain }
func (spanish) NotRead() string {
	return "No se pudo leer la solicitud. Comience de nuevo el inicio de sesión en el plugin."
}
