package views

import "fmt"

// traditionalChinese is the language zh-Hant, in the words of Taiwan.
type traditionalChinese struct{}

// What a person can do about most errors.
const (
	traditionalChineseTellAuthor = "這不是您的問題。請通知外掛程式的作者。"
	traditionalChineseTryAgain   = "這不是您的問題。請稍後再試；如果問題仍然存在，請通知外掛程式的作者。"
)

func (traditionalChinese) SignedIn() string        { return "您已登入" }
func (traditionalChinese) Cancelled() string       { return "登入已取消" }
func (traditionalChinese) Failed() string          { return "登入失敗" }
func (traditionalChinese) TookTooLong() string     { return "登入時間過長" }
func (traditionalChinese) NotFinished() string     { return "尚未完成" }
func (traditionalChinese) NothingHere() string     { return "這裡什麼都沒有" }
func (traditionalChinese) NothingToFinish() string { return "沒有需要完成的登入" }
func (traditionalChinese) OneMoment() string       { return "請稍候" }
func (traditionalChinese) DidYouStart() string     { return "這次登入是您發起的嗎？" }

func (traditionalChinese) Connected() string        { return "{plugin} 已連結至 {provider}。" }
func (traditionalChinese) ConnectedUnnamed() string { return "外掛程式已連結至 {provider}。" }
func (traditionalChinese) Close() string            { return "您可以關閉這個視窗，返回 {app}。" }
func (traditionalChinese) StartAgain() string {
	return "請關閉這個視窗，返回 {app} 並重新登入。"
}
func (traditionalChinese) StillWaits() string {
	return "如果外掛程式似乎仍在等待，請將它關閉後重新開啟。"
}
func (traditionalChinese) ReturnTo() string   { return "返回 {app}" }
func (traditionalChinese) LoadsAgain() string { return "這個頁面會自動重新載入。" }

func (traditionalChinese) Started() string { return "這次登入發起於{ago}。" }
func (traditionalChinese) StartedElsewhere() string {
	return "這次登入發起於{ago}，所用的網路與您的不同。"
}

func (traditionalChinese) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "不到 1 分鐘前"
	case 1:
		return "1 分鐘前"
	}
	return fmt.Sprintf("%d 分鐘前", minutes)
}

func (traditionalChinese) GivesAway() string {
	return "如果您繼續，發起登入的人將能透過 {plugin} 存取您的 {provider} 帳號。"
}
func (traditionalChinese) GivesAwayUnnamed() string {
	return "如果您繼續，發起登入的人將能透過這個外掛程式存取您的 {provider} 帳號。"
}
func (traditionalChinese) OnlyIfYou() string {
	return "只有當這次登入確實是您本人在 {app} 中發起的，才請繼續。如果是別人傳連結給您，請取消。請勿重新載" +
		"入這個頁面。"
}
func (traditionalChinese) Cancel() string   { return "取消" }
func (traditionalChinese) Continue() string { return "繼續" }
func (traditionalChinese) ChooseAfterRestart() string {
	return "服務正在重新啟動。請稍後再選擇。"
}
func (traditionalChinese) ChooseLater() string {
	return "目前登入的人很多。請稍後再選擇。"
}

func (traditionalChinese) ProviderRefused() string {
	return "服務供應商拒絕了這次登入。" + traditionalChineseTellAuthor
}
func (traditionalChinese) AccessDenied() string {
	return "登入已取消，或未允許存取。外掛程式沒有存取權限。"
}
func (traditionalChinese) ClientRefused() string {
	return "服務供應商不接受這個外掛程式。" + traditionalChineseTellAuthor
}
func (traditionalChinese) GrantRefused() string {
	return "服務供應商不再接受這次登入。請重新登入。如果每次都這樣，請通知外掛程式的作者。"
}
func (traditionalChinese) ScopeRefused() string {
	return "外掛程式要求了服務供應商未提供的內容。" + traditionalChineseTellAuthor
}
func (traditionalChinese) AddressUnknown() string {
	return "服務供應商不認得這次登入要返回的網址。" + traditionalChineseTellAuthor
}
func (traditionalChinese) RequestRefused() string {
	return "服務供應商不接受外掛程式的要求方式。" + traditionalChineseTellAuthor
}
func (traditionalChinese) ProviderFailed() string {
	return "服務供應商本身發生了問題。" + traditionalChineseTryAgain
}
func (traditionalChinese) TimedOut() string {
	return "服務供應商回應的時間過長。" + traditionalChineseTryAgain
}
func (traditionalChinese) Unreachable() string {
	return "無法連線到服務供應商。" + traditionalChineseTryAgain
}
func (traditionalChinese) NoAccess() string {
	return "服務供應商有回應，但沒有授予外掛程式存取權限。" + traditionalChineseTryAgain
}
func (traditionalChinese) OtherProvider() string {
	return "回應來自另一個服務供應商，而不是所要求的那一個。沒有分享任何內容。" + traditionalChineseTellAuthor
}
func (traditionalChinese) NoAnswer() string {
	return "服務供應商沒有回應就將您送回。沒有分享任何內容。" + traditionalChineseTryAgain
}
func (traditionalChinese) ConsentRequired() string {
	return "服務供應商正在等待您或帳號擁有者在其網站登入或允許存取。之後請在外掛程式中重新登入。"
}

func (traditionalChinese) DoneOrStartAgain() string {
	return "如果您剛剛已登入，則一切都已完成。否則，請在外掛程式中重新登入。"
}
func (traditionalChinese) ForeignChoice() string {
	return "答覆並非來自提問的頁面。沒有分享任何內容。如果這次登入是您發起的，請在外掛程式中重新登入。"
}
func (traditionalChinese) TooMuchTime() string {
	return "完成前經過的時間太長。沒有分享任何內容。"
}
func (traditionalChinese) EndedBefore() string {
	return "這次登入在完成前已被終止。沒有分享任何內容。"
}
func (traditionalChinese) UnknownSignIn() string {
	return "這裡沒有這次登入的紀錄。它可能太舊，或者網址不完整。"
}
func (traditionalChinese) FailedBefore() string {
	return "這次登入沒有成功。這不是您的問題。請在外掛程式中重新登入；如果問題仍然存在，請通知外掛程式的作" +
		"者。"
}
func (traditionalChinese) ManySignIns() string   { return "目前登入的人很多。" }
func (traditionalChinese) BeingFinished() string { return "正在完成您的登入。" }
func (traditionalChinese) Restarting() string    { return "服務正在重新啟動。" }
func (traditionalChinese) StartAgainThere() string {
	return "如果稍後外掛程式仍未登入，請在外掛程式中重新開始。"
}
func (traditionalChinese) NoPlugin() string {
	return "這裡尚未設定任何外掛程式。" + traditionalChineseTellAuthor
}
func (traditionalChinese) NotUsable() string {
	return "這個外掛程式目前無法使用。" + traditionalChineseTellAuthor
}
func (traditionalChinese) SwitchedOff() string   { return "這個外掛程式已停用。" }
func (traditionalChinese) NoSuchAddress() string { return "沒有這個網址。" }
func (traditionalChinese) NotForPeople() string {
	return "這個網址供外掛程式和服務供應商使用。"
}
func (traditionalChinese) Fault() string {
	return "這裡發生了問題。" + traditionalChineseTryAgain
}
func (traditionalChinese) NotRead() string {
	return "無法讀取要求。請在外掛程式中重新登入。"
}
