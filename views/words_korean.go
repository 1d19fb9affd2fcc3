package views

import "fmt"

// korean is the language ko. Names take no particle that would depend on their last sound.
type korean struct{}

// What a person can do about most errors.
const (
	koreanTellAuthor = " 사용자의 잘못이 아닙니다. 플러그인 제작자에게 알려 주세요."
	koreanTryAgain   = " 사용자의 잘못이 아닙니다. 잠시 후 다시 시도해 주세요. 계속되면 플러그인 " +
		"제작자에게 알려 주세요."
)

func (korean) SignedIn() string        { return "로그인되었습니다" }
func (korean) Cancelled() string       { return "로그인이 취소되었습니다" }
func (korean) Failed() string          { return "로그인하지 못했습니다" }
func (korean) TookTooLong() string     { return "로그인 시간이 초과되었습니다" }
func (korean) NotFinished() string     { return "아직 완료되지 않았습니다" }
func (korean) NothingHere() string     { return "여기에는 아무것도 없습니다" }
func (korean) NothingToFinish() string { return "여기에서 완료할 것이 없습니다" }
func (korean) OneMoment() string       { return "잠시만 기다려 주세요" }
func (korean) DidYouStart() string     { return "이 로그인을 직접 시작하셨나요?" }

func (korean) Connected() string {
	return "{plugin} 플러그인이 {provider} 계정에 연결되었습니다."
}
func (korean) ConnectedUnnamed() string {
	return "플러그인이 {provider} 계정에 연결되었습니다."
}
func (korean) Close() string { return "이 창을 닫고 {app} 앱으로 돌아가셔도 됩니다." }
func (korean) StartAgain() string {
	return "이 창을 닫고 {app} 앱으로 돌아가 로그인을 다시 시작해 주세요."
}
func (korean) StillWaits() string {
	return "플러그인이 계속 기다리는 것 같으면 닫았다가 다시 열어 주세요."
}
func (korean) ReturnTo() string   { return "{app} 앱으로 돌아가기" }
func (korean) LoadsAgain() string { return "이 페이지는 자동으로 다시 로드됩니다." }

func (korean) Started() string { return "이 로그인은 {ago}에 시작되었습니다." }
func (korean) StartedElsewhere() string {
	return "이 로그인은 {ago}에 사용자와 다른 네트워크에서 시작되었습니다."
}

func (korean) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "방금 전"
	case 1:
		return "1분 전"
	}
	return fmt.Sprintf("%d분 전", minutes)
}

func (korean) GivesAway() string {
	return "계속하면 이 로그인을 시작한 사람이 {plugin} 플러그인을 통해 회원님의 {provider} 계정에 접근할 " +
		"수 있게 됩니다."
}
func (korean) GivesAwayUnnamed() string {
	return "계속하면 이 로그인을 시작한 사람이 이 플러그인을 통해 회원님의 {provider} 계정에 접근할 수 " +
		"있게 됩니다."
}
func (korean) OnlyIfYou() string {
	return "{app} 앱에서 직접 시작하신 경우에만 계속하세요. 누군가 링크를 보낸 것이라면 취소하세요. 이 " +
		"페이지를 새로고침하지 마세요."
}
func (korean) Cancel() string   { return "취소" }
func (korean) Continue() string { return "계속" }
func (korean) ChooseAfterRestart() string {
	return "서비스를 다시 시작하고 있습니다. 잠시 후 다시 선택해 주세요."
}
func (korean) ChooseLater() string {
	return "지금 많은 사람이 로그인하고 있습니다. 잠시 후 다시 선택해 주세요."
}

func (korean) ProviderRefused() string {
	return "제공업체에서 로그인을 거부했습니다." + koreanTellAuthor
}
func (korean) AccessDenied() string {
	return "로그인이 취소되었거나 접근이 허용되지 않았습니다. 플러그인에는 접근 권한이 없습니다."
}
func (korean) ClientRefused() string {
	return "제공업체에서 플러그인 자체를 허용하지 않습니다." + koreanTellAuthor
}
func (korean) GrantRefused() string {
	return "제공업체에서 이 로그인을 더 이상 허용하지 않습니다. 다시 로그인해 주세요. 매번 발생하면 " +
		"플러그인 제작자에게 알려 주세요."
}
func (korean) ScopeRefused() string {
	return "플러그인이 제공업체에서 제공하지 않는 것을 요청했습니다." + koreanTellAuthor
}
func (korean) AddressUnknown() string {
	return "제공업체에서 이 로그인이 돌아갈 주소를 알지 못합니다." + koreanTellAuthor
}
func (korean) RequestRefused() string {
	return "제공업체에서 플러그인의 요청 방식을 허용하지 않습니다." + koreanTellAuthor
}
func (korean) ProviderFailed() string {
	return "제공업체 자체에 문제가 있습니다." + koreanTryAgain
}
func (korean) TimedOut() string {
	return "제공업체의 응답이 너무 오래 걸렸습니다." + koreanTryAgain
}
func (korean) Unreachable() string {
	return "제공업체에 연결할 수 없습니다." + koreanTryAgain
}
func (korean) NoAccess() string {
	return "제공업체에서 응답했지만 플러그인에 접근 권한을 주지 않았습니다." + koreanTryAgain
}
func (korean) OtherProvider() string {
	return "요청한 곳이 아닌 다른 제공업체에서 응답이 왔습니다. 아무것도 공유되지 않았습니다." +
		koreanTellAuthor
}
func (korean) NoAnswer() string {
	return "제공업체에서 응답 없이 되돌려 보냈습니다. 아무것도 공유되지 않았습니다." + koreanTryAgain
}
func (korean) ConsentRequired() string {
	return "제공업체에서 회원님 또는 계정 소유자가 로그인하거나 접근을 허용하기를 기다리고 있습니다. 그런 " +
		"다음 플러그인에서 로그인을 다시 시작해 주세요."
}

func (korean) DoneOrStartAgain() string {
	return "방금 로그인하셨다면 모두 완료되었습니다. 그렇지 않다면 플러그인에서 로그인을 다시 시작해 주세요."
}
func (korean) ForeignChoice() string {
	return "질문한 페이지에서 온 답변이 아닙니다. 아무것도 공유되지 않았습니다. 이 로그인을 직접 " +
		"시작하셨다면 플러그인에서 다시 시작해 주세요."
}
func (korean) TooMuchTime() string {
	return "완료되기까지 시간이 너무 오래 걸렸습니다. 아무것도 공유되지 않았습니다."
}
func (korean) EndedBefore() string {
	return "이 로그인은 완료되기 전에 종료되었습니다. 아무것도 공유되지 않았습니다."
}
func (korean) UnknownSignIn() string {
	return "알 수 없는 로그인입니다. 너무 오래되었거나 주소가 완전하지 않을 수 있습니다."
}
func (korean) FailedBefore() string {
	return "이 로그인은 실패했습니다. 사용자의 잘못이 아닙니다. 플러그인에서 다시 시작해 주세요. 계속되면 " +
		"플러그인 제작자에게 알려 주세요."
}
func (korean) ManySignIns() string   { return "지금 많은 사람이 로그인하고 있습니다." }
func (korean) BeingFinished() string { return "로그인을 완료하고 있습니다." }
func (korean) Restarting() string    { return "서비스를 다시 시작하고 있습니다." }
func (korean) StartAgainThere() string {
	return "잠시 후에도 플러그인이 로그인되지 않으면 플러그인에서 다시 시작해 주세요."
}
func (korean) NoPlugin() string {
	return "아직 설정된 플러그인이 없습니다." + koreanTellAuthor
}
func (korean) NotUsable() string {
	return "이 플러그인은 지금 사용할 수 없습니다." + koreanTellAuthor
}
func (korean) SwitchedOff() string   { return "이 플러그인은 꺼져 있습니다." }
func (korean) NoSuchAddress() string { return "없는 주소입니다." }
func (korean) NotForPeople() string  { return "플러그인과 제공업체를 위한 주소입니다." }
func (korean) Fault() string         { return "문제가 발생했습니다." + koreanTryAgain }
func (korean) NotRead() string {
	return "요청을 읽을 수 없습니다. 플러그인에서 로그인을 다시 시작해 주세요."
}
