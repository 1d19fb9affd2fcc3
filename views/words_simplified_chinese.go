package views

import "fmt"

// simplifiedChinese is the language zh-Hans.
type simplifiedChinese struct{}

// What a person can do about most errors.
const (
	simplifiedChineseTellAuthor = "这不是您的问题。请告知插件作者。"
	simplifiedChineseTryAgain   = "这不是您的问题。请稍后再试；如果问题仍然存在，请告知插件作者。"
)

func (simplifiedChinese) SignedIn() string        { return "您已登录" }
func (simplifiedChinese) Cancelled() string       { return "登录已取消" }
func (simplifiedChinese) Failed() string          { return "登录失败" }
func (simplifiedChinese) TookTooLong() string     { return "登录用时过长" }
func (simplifiedChinese) NotFinished() string     { return "尚未完成" }
func (simplifiedChinese) NothingHere() string     { return "这里什么都没有" }
func (simplifiedChinese) NothingToFinish() string { return "没有需要完成的登录" }
func (simplifiedChinese) OneMoment() string       { return "请稍候" }
func (simplifiedChinese) DidYouStart() string     { return "此次登录是您发起的吗？" }

func (simplifiedChinese) Connected() string        { return "{plugin} 已连接到 {provider}。" }
func (simplifiedChinese) ConnectedUnnamed() string { return "插件已连接到 {provider}。" }
func (simplifiedChinese) Close() string            { return "您可以关闭此窗口，返回 {app}。" }
func (simplifiedChinese) StartAgain() string {
	return "请关闭此窗口，返回 {app} 并重新登录。"
}
func (simplifiedChinese) StillWaits() string {
	return "如果插件似乎仍在等待，请将其关闭后重新打开。"
}
func (simplifiedChinese) ReturnTo() string   { return "返回 {app}" }
func (simplifiedChinese) LoadsAgain() string { return "此页面会自动重新加载。" }

func (simplifiedChinese) Started() string { return "此次登录发起于{ago}。" }
func (simplifiedChinese) StartedElsewhere() string {
	return "此次登录发起于{ago}，所用网络与您的不同。"
}

func (simplifiedChinese) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "不到 1 分钟前"
	case 1:
		return "1 分钟前"
	}
	return fmt.Sprintf("%d 分钟前", minutes)
}

func (simplifiedChinese) GivesAway() string {
	return "如果您继续，发起登录的人将能通过 {plugin} 访问您的 {provider} 账号。"
}
func (simplifiedChinese) GivesAwayUnnamed() string {
	return "如果您继续，发起登录的人将能通过此插件访问您的 {provider} 账号。"
}
func (simplifiedChinese) OnlyIfYou() string {
	return "仅当此次登录确实是您本人在 {app} 中发起的，才请继续。如果是别人给您发来的链接，请取消。请勿重新" +
		"加载此页面。"
}
func (simplifiedChinese) Cancel() string   { return "取消" }
func (simplifiedChinese) Continue() string { return "继续" }
func (simplifiedChinese) ChooseAfterRestart() string {
	return "服务正在重启。请稍后再选择。"
}
func (simplifiedChinese) ChooseLater() string {
	return "当前登录的人很多。请稍后再选择。"
}

func (simplifiedChinese) ProviderRefused() string {
	return "服务提供方拒绝了此次登录。" + simplifiedChineseTellAuthor
}
func (simplifiedChinese) AccessDenied() string {
	return "登录已取消，或未允许访问。插件没有访问权限。"
}
func (simplifiedChinese) ClientRefused() string {
	return "服务提供方不接受此插件。" + simplifiedChineseTellAuthor
}
func (simplifiedChinese) GrantRefused() string {
	return "服务提供方不再接受此次登录。请重新登录。如果每次都这样，请告知插件作者。"
}
func (simplifiedChinese) ScopeRefused() string {
	return "插件请求了服务提供方不提供的内容。" + simplifiedChineseTellAuthor
}
func (simplifiedChinese) AddressUnknown() string {
	return "服务提供方不认识此次登录要返回的地址。" + simplifiedChineseTellAuthor
}
func (simplifiedChinese) RequestRefused() string {
	return "服务提供方不接受插件的请求方式。" + simplifiedChineseTellAuthor
}
func (simplifiedChinese) ProviderFailed() string {
	return "服务提供方自身出现了问题。" + simplifiedChineseTryAgain
}
func (simplifiedChinese) TimedOut() string {
	return "服务提供方响应时间过长。" + simplifiedChineseTryAgain
}
func (simplifiedChinese) Unreachable() string {
	return "无法连接到服务提供方。" + simplifiedChineseTryAgain
}
func (simplifiedChinese) NoAccess() string {
	return "服务提供方作出了响应，但没有授予插件访问权限。" + simplifiedChineseTryAgain
}
func (simplifiedChinese) OtherProvider() string {
	return "响应来自另一个服务提供方，而不是所请求的那一个。没有共享任何内容。" + simplifiedChineseTellAuthor
}
func (simplifiedChinese) NoAnswer() string {
	return "服务提供方未作答复就将您送回。没有共享任何内容。" + simplifiedChineseTryAgain
}
func (simplifiedChinese) ConsentRequired() string {
	return "服务提供方正在等待您或账号所有者在其网站登录或允许访问。之后请在插件中重新登录。"
}

func (simplifiedChinese) DoneOrStartAgain() string {
	return "如果您刚刚登录过，则一切已完成。否则，请在插件中重新登录。"
}
func (simplifiedChinese) ForeignChoice() string {
	return "答复并非来自提问的页面。没有共享任何内容。如果此次登录是您发起的，请在插件中重新登录。"
}
func (simplifiedChinese) TooMuchTime() string {
	return "完成前经过的时间太长。没有共享任何内容。"
}
func (simplifiedChinese) EndedBefore() string {
	return "此次登录在完成前已被终止。没有共享任何内容。"
}
func (simplifiedChinese) UnknownSignIn() string {
	return "这里没有此次登录的记录。它可能太旧，或者地址不完整。"
}
func (simplifiedChinese) FailedBefore() string {
	return "此次登录未成功。这不是您的问题。请在插件中重新登录；如果问题仍然存在，请告知插件作者。"
}
func (simplifiedChinese) ManySignIns() string   { return "当前登录的人很多。" }
func (simplifiedChinese) BeingFinished() string { return "正在完成您的登录。" }
func (simplifiedChinese) Restarting() string    { return "服务正在重启。" }
func (simplifiedChinese) StartAgainThere() string {
	return "如果稍后插件仍未登录，请在插件中重新开始。"
}
func (simplifiedChinese) NoPlugin() string {
	return "这里尚未设置任何插件。" + simplifiedChineseTellAuthor
}
func (simplifiedChinese) NotUsable() string {
	return "此插件目前无法使用。" + simplifiedChineseTellAuthor
}
func (simplifiedChinese) SwitchedOff() string   { return "此插件已停用。" }
func (simplifiedChinese) NoSuchAddress() string { return "没有这个地址。" }
func (simplifiedChinese) NotForPeople() string {
	return "此地址供插件和服务提供方使用。"
}
func (simplifiedChinese) Fault() string {
	return "这里出了点问题。" + simplifiedChineseTryAgain
}
func (simplifiedChinese) NotRead() string {
	return "无法读取请求。请在插件中重新登录。"
}
