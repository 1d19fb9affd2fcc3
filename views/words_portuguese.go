package views

import "fmt"

// portuguese is the language pt, as in Brazil, which is the one that most people of pt read.
type portuguese struct{}

// What a person can do about most errors.
const (
	portugueseTellAuthor = " A culpa não é sua. Avise o autor do plugin."
	portugueseTryAgain   = " A culpa não é sua. Tente novamente em instantes; se continuar, avise o autor " +
		"do plugin."
)

func (portuguese) SignedIn() string        { return "Você entrou na sua conta" }
func (portuguese) Cancelled() string       { return "Login cancelado" }
func (portuguese) Failed() string          { return "Não foi possível entrar" }
func (portuguese) TookTooLong() string     { return "Este login demorou demais" }
func (portuguese) NotFinished() string     { return "Ainda não terminou" }
func (portuguese) NothingHere() string     { return "Não há nada aqui" }
func (portuguese) NothingToFinish() string { return "Não há nada para concluir aqui" }
func (portuguese) OneMoment() string       { return "Um momento, por favor" }
func (portuguese) DidYouStart() string     { return "Foi você que iniciou este login?" }

func (portuguese) Connected() string        { return "{plugin} está conectado a {provider}." }
func (portuguese) ConnectedUnnamed() string { return "O plugin está conectado a {provider}." }
func (portuguese) Close() string            { return "Você pode fechar esta janela e voltar para {app}." }
func (portuguese) StartAgain() string {
	return "Feche esta janela, volte para {app} e inicie o login novamente."
}
func (portuguese) StillWaits() string {
	return "Se o plugin ainda parecer esperar, feche-o e abra-o novamente."
}
func (portuguese) ReturnTo() string   { return "Voltar para {app}" }
func (portuguese) LoadsAgain() string { return "Esta página recarrega sozinha." }

func (portuguese) Started() string { return "Ele foi iniciado {ago}." }
func (portuguese) StartedElsewhere() string {
	return "Ele foi iniciado {ago}, em outra rede que não é a sua."
}

func (portuguese) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "há menos de um minuto"
	case 1:
		return "há um minuto"
	}
	return fmt.Sprintf("há %d minutos", minutes)
}

func (portuguese) GivesAway() string {
	return "Se você continuar, quem o iniciou terá acesso à sua conta {provider} por meio de {plugin}."
}
func (portuguese) GivesAwayUnnamed() string {
	return "Se você continuar, quem o iniciou terá acesso à sua conta {provider} por meio deste plugin."
}
func (portuguese) OnlyIfYou() string {
	return "Continue somente se foi você, em {app}. Se alguém lhe enviou um link, cancele. Não recarregue " +
		"esta página."
}
func (portuguese) Cancel() string   { return "Cancelar" }
func (portuguese) Continue() string { return "Continuar" }
func (portuguese) ChooseAfterRestart() string {
	return "O serviço está reiniciando. Escolha novamente em instantes."
}
func (portuguese) ChooseLater() string {
	return "Muitas pessoas estão entrando agora. Escolha novamente em instantes."
}

func (portuguese) ProviderRefused() string {
	return "O provedor recusou o login." + portugueseTellAuthor
}
func (portuguese) AccessDenied() string {
	return "O login foi cancelado ou o acesso não foi permitido. O plugin não tem acesso."
}
func (portuguese) ClientRefused() string {
	return "O provedor não aceita o próprio plugin." + portugueseTellAuthor
}
func (portuguese) GrantRefused() string {
	return "O provedor não aceita mais este login. Entre novamente. Se acontecer todas as vezes, avise o " +
		"autor do plugin."
}
func (portuguese) ScopeRefused() string {
	return "O plugin pede ao provedor algo que ele não oferece." + portugueseTellAuthor
}
func (portuguese) AddressUnknown() string {
	return "O provedor não conhece o endereço para o qual este login retorna." + portugueseTellAuthor
}
func (portuguese) RequestRefused() string {
	return "O provedor não aceita a forma como o plugin pede o acesso." + portugueseTellAuthor
}
func (portuguese) ProviderFailed() string {
	return "O próprio provedor está com um problema." + portugueseTryAgain
}
func (portuguese) TimedOut() string {
	return "O provedor demorou demais para responder." + portugueseTryAgain
}
func (portuguese) Unreachable() string {
	return "Não foi possível contatar o provedor." + portugueseTryAgain
}
func (portuguese) NoAccess() string {
	return "O provedor respondeu sem dar acesso ao plugin." + portugueseTryAgain
}
func (portuguese) OtherProvider() string {
	return "A resposta vem de um provedor diferente daquele que foi consultado. Nada foi compartilhado." +
		portugueseTellAuthor
}
func (portuguese) NoAnswer() string {
	return "O provedor enviou você de volta sem resposta. Nada foi compartilhado." + portugueseTryAgain
}
func (portuguese) ConsentRequired() string {
	return "O provedor espera que você, ou o dono da conta, entre lá ou permita o acesso. Depois disso, " +
		"inicie o login novamente no plugin."
}

func (portuguese) DoneOrStartAgain() string {
	return "Se você acabou de entrar, está tudo pronto. Se não, inicie o login novamente no plugin."
}
func (portuguese) ForeignChoice() string {
	return "A resposta não veio da página que faz a pergunta. Nada foi compartilhado. Se foi você que " +
		"iniciou este login, inicie-o novamente no plugin."
}
func (portuguese) TooMuchTime() string {
	return "Passou tempo demais antes de ser concluído. Nada foi compartilhado."
}
func (portuguese) EndedBefore() string {
	return "Este login foi encerrado antes de ser concluído. Nada foi compartilhado."
}
func (portuguese) UnknownSignIn() string {
	return "Este login não é conhecido aqui. Ele pode ser antigo demais, ou o endereço está incompleto."
}
func (portuguese) FailedBefore() string {
	return "Este login não funcionou. A culpa não é sua. Inicie-o novamente no plugin; se continuar, avise " +
		"o autor do plugin."
}
func (portuguese) ManySignIns() string   { return "Muitas pessoas estão entrando neste momento." }
func (portuguese) BeingFinished() string { return "Seu login está sendo concluído." }
func (portuguese) Restarting() string    { return "O serviço está reiniciando." }
func (portuguese) StartAgainThere() string {
	return "Se em instantes o plugin ainda não tiver entrado, comece novamente por lá."
}
func (portuguese) NoPlugin() string {
	return "Nenhum plugin foi configurado aqui ainda." + portugueseTellAuthor
}
func (portuguese) NotUsable() string {
	return "Este plugin não pode ser usado no momento." + portugueseTellAuthor
}
func (portuguese) SwitchedOff() string   { return "Este plugin está desativado." }
func (portuguese) NoSuchAddress() string { return "Este endereço não existe." }
func (portuguese) NotForPeople() string  { return "Este endereço é para plugins e provedores." }
func (portuguese) Fault() string         { return "Algo deu errado aqui." + portugueseTryAgain }
func (portuguese) NotRead() string {
	return "Não foi possível ler a solicitação. Inicie o login novamente no plugin."
}
