package views

import (
	"fmt"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// russian is the language ru. It avoids forms that depend on the reader's gender.
type russian struct{}

// What a person can do about most errors.
const (
	russianTellAuthor = " Это не ваша вина. Сообщите автору плагина."
	russianTryAgain   = " Это не ваша вина. Попробуйте ещё раз чуть позже; если не поможет, сообщите " +
		"автору плагина."
)

func (russian) SignedIn() string  { return "Вход выполнен" }
func (russian) Cancelled() string { return "Вход отменён" }
func (russian) Failed() string    { return "Не удалось войти" }
func (russian) TookTooLong() string {
	return "Этот вход занял слишком много времени"
}
func (russian) NotFinished() string     { return "Ещё не завершено" }
func (russian) NothingHere() string     { return "Здесь ничего нет" }
func (russian) NothingToFinish() string { return "Здесь нечего завершать" }
func (russian) OneMoment() string       { return "Подождите, пожалуйста" }
func (russian) DidYouStart() string     { return "Это вы начали этот вход?" }

func (russian) Connected() string {
	return "{plugin} теперь имеет доступ к {provider}."
}
func (russian) ConnectedUnnamed() string {
	return "Плагин теперь имеет доступ к {provider}."
}
func (russian) Close() string {
	return "Можно закрыть это окно и вернуться в {app}."
}
func (russian) StartAgain() string {
	return "Закройте это окно, вернитесь в {app} и начните вход заново."
}
func (russian) StillWaits() string {
	return "Если плагин всё ещё ждёт, закройте его и откройте снова."
}
func (russian) ReturnTo() string   { return "Вернуться в {app}" }
func (russian) LoadsAgain() string { return "Эта страница обновится сама." }

func (russian) Started() string { return "Его начали {ago}." }
func (russian) StartedElsewhere() string {
	return "Его начали {ago} в другой сети, не в вашей."
}

func (russian) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "меньше минуты назад"
	case 1:
		return "минуту назад"
	}
	switch pluralOf(language.Russian, minutes) {
	case plural.One:
		return fmt.Sprintf("%d минуту назад", minutes)
	case plural.Few:
		return fmt.Sprintf("%d минуты назад", minutes)
	}
	return fmt.Sprintf("%d минут назад", minutes)
}

func (russian) GivesAway() string {
	return "Если вы продолжите, тот, кто его начал, получит доступ к вашему аккаунту {provider} через " +
		"{plugin}."
}
func (russian) GivesAwayUnnamed() string {
	return "Если вы продолжите, тот, кто его начал, получит доступ к вашему аккаунту {provider} через этот " +
		"плагин."
}
func (russian) OnlyIfYou() string {
	return "Продолжайте, только если это сделали вы, в {app}. Если вам кто-то прислал ссылку, отмените " +
		"вход. Не обновляйте эту страницу."
}
func (russian) Cancel() string   { return "Отменить" }
func (russian) Continue() string { return "Продолжить" }
func (russian) ChooseAfterRestart() string {
	return "Сервис перезапускается. Пожалуйста, выберите ещё раз чуть позже."
}
func (russian) ChooseLater() string {
	return "Сейчас входит много людей. Пожалуйста, выберите ещё раз чуть позже."
}

func (russian) ProviderRefused() string {
	return "Провайдер отклонил вход." + russianTellAuthor
}
func (russian) AccessDenied() string {
	return "Вход отменён, или доступ не разрешён. У плагина нет доступа."
}
func (russian) ClientRefused() string {
	return "Провайдер не принимает сам плагин." + russianTellAuthor
}
func (russian) GrantRefused() string {
	return "Провайдер больше не принимает этот вход. Пожалуйста, войдите ещё раз. Если так каждый раз, " +
		"сообщите автору плагина."
}
func (russian) ScopeRefused() string {
	return "Плагин просит у провайдера то, чего тот не предоставляет." + russianTellAuthor
}
func (russian) AddressUnknown() string {
	return "Провайдер не знает адреса, на который возвращает этот вход." + russianTellAuthor
}
func (russian) RequestRefused() string {
	return "Провайдер не принимает то, как плагин просит доступ." + russianTellAuthor
}
func (russian) ProviderFailed() string {
	return "У самого провайдера сейчас сбой." + russianTryAgain
}
func (russian) TimedOut() string {
	return "Провайдер слишком долго не отвечал." + russianTryAgain
}
func (russian) Unreachable() string {
	return "Не удалось связаться с провайдером." + russianTryAgain
}
func (russian) NoAccess() string {
	return "Провайдер ответил, но не дал плагину доступа." + russianTryAgain
}
func (russian) OtherProvider() string {
	return "Ответ пришёл от другого провайдера, а не от того, который был запрошен. Ничего не передано." +
		russianTellAuthor
}
func (russian) NoAnswer() string {
	return "Провайдер вернул вас без ответа. Ничего не передано." + russianTryAgain
}
func (russian) ConsentRequired() string {
	return "Провайдер ждёт, пока вы или владелец аккаунта не войдёте там или не разрешите доступ. После " +
		"этого начните вход в плагине заново."
}

func (russian) DoneOrStartAgain() string {
	return "Если вы только что вошли, всё готово. Если нет, начните вход в плагине заново."
}
func (russian) ForeignChoice() string {
	return "Ответ пришёл не со страницы, которая спрашивает. Ничего не передано. Если этот вход начали вы, " +
		"начните его в плагине заново."
}
func (russian) TooMuchTime() string {
	return "До завершения прошло слишком много времени. Ничего не передано."
}
func (russian) EndedBefore() string {
	return "Этот вход прекращён до завершения. Ничего не передано."
}
func (russian) UnknownSignIn() string {
	return "Этот вход здесь неизвестен. Возможно, он устарел или адрес неполный."
}
func (russian) FailedBefore() string {
	return "Этот вход не удался. Это не ваша вина. Начните его в плагине заново; если не поможет, сообщите " +
		"автору плагина."
}
func (russian) ManySignIns() string   { return "Сейчас входит много людей." }
func (russian) BeingFinished() string { return "Ваш вход завершается." }
func (russian) Restarting() string    { return "Сервис перезапускается." }
func (russian) StartAgainThere() string {
	return "Если вскоре плагин не покажет, что вход выполнен, начните там заново."
}
func (russian) NoPlugin() string {
	return "Здесь ещё не настроен ни один плагин." + russianTellAuthor
}
func (russian) NotUsable() string {
	return "Этим плагином сейчас нельзя пользоваться." + russianTellAuthor
}
func (russian) SwitchedOff() string   { return "Этот плагин отключён." }
func (russian) NoSuchAddress() string { return "Такого адреса нет." }
func (russian) NotForPeople() string {
	return "Этот адрес предназначен для плагинов и провайдеров."
}
func (russian) Fault() string {
	return "Здесь что-то пошло не так." + russianTryAgain
}
func (russian) NotRead() string {
	return "Не удалось прочитать запрос. Начните вход в плагине заново."
}
