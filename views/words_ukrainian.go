package views

import (
	"fmt"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// ukrainian is the language uk. It avoids forms that depend on the reader's gender.
type ukrainian struct{}

// What a person can do about most errors.
const (
	ukrainianTellAuthor = " Це не ваша провина. Повідомте автора плагіна."
	ukrainianTryAgain   = " Це не ваша провина. Спробуйте ще раз за мить; якщо не допоможе, повідомте " +
		"автора плагіна."
)

func (ukrainian) SignedIn() string        { return "Вхід виконано" }
func (ukrainian) Cancelled() string       { return "Вхід скасовано" }
func (ukrainian) Failed() string          { return "Не вдалося ввійти" }
func (ukrainian) TookTooLong() string     { return "Цей вхід тривав надто довго" }
func (ukrainian) NotFinished() string     { return "Ще не завершено" }
func (ukrainian) NothingHere() string     { return "Тут нічого немає" }
func (ukrainian) NothingToFinish() string { return "Тут немає чого завершувати" }
func (ukrainian) OneMoment() string       { return "Зачекайте, будь ласка" }
func (ukrainian) DidYouStart() string     { return "Це ви розпочали цей вхід?" }

func (ukrainian) Connected() string { return "{plugin} під’єднано до {provider}." }
func (ukrainian) ConnectedUnnamed() string {
	return "Плагін під’єднано до {provider}."
}
func (ukrainian) Close() string {
	return "Можете закрити це вікно й повернутися до {app}."
}
func (ukrainian) StartAgain() string {
	return "Закрийте це вікно, поверніться до {app} і почніть вхід знову."
}
func (ukrainian) StillWaits() string {
	return "Якщо плагін досі чекає, закрийте його й відкрийте знову."
}
func (ukrainian) ReturnTo() string   { return "Повернутися до {app}" }
func (ukrainian) LoadsAgain() string { return "Ця сторінка оновиться сама." }

func (ukrainian) Started() string { return "Його розпочато {ago}." }
func (ukrainian) StartedElsewhere() string {
	return "Його розпочато {ago} в іншій мережі, не у вашій."
}

func (ukrainian) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "менше хвилини тому"
	case 1:
		return "хвилину тому"
	}
	switch pluralOf(language.Ukrainian, minutes) {
	case plural.One:
		return fmt.Sprintf("%d хвилину тому", minutes)
	case plural.Few:
		return fmt.Sprintf("%d хвилини тому", minutes)
	}
	return fmt.Sprintf("%d хвилин тому", minutes)
}

func (ukrainian) GivesAway() string {
	return "Якщо ви продовжите, той, хто його розпочав, отримає доступ до вашого облікового запису " +
		"{provider} через {plugin}."
}
func (ukrainian) GivesAwayUnnamed() string {
	return "Якщо ви продовжите, той, хто його розпочав, отримає доступ до вашого облікового запису " +
		"{provider} через цей плагін."
}
func (ukrainian) OnlyIfYou() string {
	return "Продовжуйте, лише якщо це зробили ви, у {app}. Якщо вам хтось надіслав посилання, скасуйте. Не " +
		"оновлюйте цю сторінку."
}
func (ukrainian) Cancel() string   { return "Скасувати" }
func (ukrainian) Continue() string { return "Продовжити" }
func (ukrainian) ChooseAfterRestart() string {
	return "Сервіс перезапускається. Будь ласка, виберіть знову за мить."
}
func (ukrainian) ChooseLater() string {
	return "Зараз входить багато людей. Будь ласка, виберіть знову за мить."
}

func (ukrainian) ProviderRefused() string {
	return "Провайдер відхилив вхід." + ukrainianTellAuthor
}
func (ukrainian) AccessDenied() string {
	return "Вхід скасовано, або доступ не дозволено. Плагін не має доступу."
}
func (ukrainian) ClientRefused() string {
	return "Провайдер не приймає сам плагін." + ukrainianTellAuthor
}
func (ukrainian) GrantRefused() string {
	return "Провайдер більше не приймає цей вхід. Будь ласка, увійдіть ще раз. Якщо так щоразу, повідомте " +
		"автора плагіна."
}
func (ukrainian) ScopeRefused() string {
	return "Плагін просить у провайдера те, чого той не надає." + ukrainianTellAuthor
}
func (ukrainian) AddressUnknown() string {
	return "Провайдер не знає адреси, на яку повертає цей вхід." + ukrainianTellAuthor
}
func (ukrainian) RequestRefused() string {
	return "Провайдер не приймає того, як плагін просить доступ." + ukrainianTellAuthor
}
func (ukrainian) ProviderFailed() string {
	return "У самого провайдера зараз збій." + ukrainianTryAgain
}
func (ukrainian) TimedOut() string {
	return "Провайдер надто довго не відповідав." + ukrainianTryAgain
}
func (ukrainian) Unreachable() string {
	return "Не вдалося зв’язатися з провайдером." + ukrainianTryAgain
}
func (ukrainian) NoAccess() string {
	return "Провайдер відповів, але не дав плагіну доступу." + ukrainianTryAgain
}
func (ukrainian) OtherProvider() string {
	return "Відповідь надійшла від іншого провайдера, а не від того, якого запитували. Нічого не передано." +
		ukrainianTellAuthor
}
func (ukrainian) NoAnswer() string {
	return "Провайдер повернув вас без відповіді. Нічого не передано." + ukrainianTryAgain
}
func (ukrainian) ConsentRequired() string {
	return "Провайдер чекає, доки ви або власник облікового запису не ввійдете там або не дозволите " +
		"доступ. Потім почніть вхід у плагіні знову."
}

func (ukrainian) DoneOrStartAgain() string {
	return "Якщо ви щойно ввійшли, усе готово. Якщо ні, почніть вхід у плагіні знову."
}
func (ukrainian) ForeignChoice() string {
	return "Відповідь надійшла не зі сторінки, яка питає. Нічого не передано. Якщо цей вхід розпочали ви, " +
		"почніть його в плагіні знову."
}
func (ukrainian) TooMuchTime() string {
	return "До завершення минуло забагато часу. Нічого не передано."
}
func (ukrainian) EndedBefore() string {
	return "Цей вхід припинено до завершення. Нічого не передано."
}
func (ukrainian) UnknownSignIn() string {
	return "Цей вхід тут невідомий. Можливо, він застарів або адреса неповна."
}
func (ukrainian) FailedBefore() string {
	return "Цей вхід не вдався. Це не ваша провина. Почніть його в плагіні знову; якщо не допоможе, " +
		"повідомте автора плагіна."
}
func (ukrainian) ManySignIns() string   { return "Зараз входить багато людей." }
func (ukrainian) BeingFinished() string { return "Ваш вхід завершується." }
func (ukrainian) Restarting() string    { return "Сервіс перезапускається." }
func (ukrainian) StartAgainThere() string {
	return "Якщо за мить плагін не покаже, що вхід виконано, почніть там знову."
}
func (ukrainian) NoPlugin() string {
	return "Тут ще не налаштовано жодного плагіна." + ukrainianTellAuthor
}
func (ukrainian) NotUsable() string {
	return "Цим плагіном зараз не можна користуватися." + ukrainianTellAuthor
}
func (ukrainian) SwitchedOff() string   { return "Цей плагін вимкнено." }
func (ukrainian) NoSuchAddress() string { return "Такої адреси немає." }
func (ukrainian) NotForPeople() string {
	return "Ця адреса призначена для плагінів і провайдерів."
}
func (ukrainian) Fault() string { return "Тут щось пішло не так." + ukrainianTryAgain }
func (ukrainian) NotRead() string {
	return "Не вдалося прочитати запит. Почніть вхід у плагіні знову."
}
