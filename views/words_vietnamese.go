package views

import "fmt"

// vietnamese is the language vi.
type vietnamese struct{}

// What a person can do about most errors.
const (
	vietnameseTellAuthor = " Đây không phải lỗi của bạn. Hãy báo cho tác giả plugin."
	vietnameseTryAgain   = " Đây không phải lỗi của bạn. Hãy thử lại sau giây lát; nếu vẫn vậy, hãy báo " +
		"cho tác giả plugin."
)

func (vietnamese) SignedIn() string  { return "Bạn đã đăng nhập" }
func (vietnamese) Cancelled() string { return "Đã hủy đăng nhập" }
func (vietnamese) Failed() string    { return "Đăng nhập không thành công" }
func (vietnamese) TookTooLong() string {
	return "Lần đăng nhập này mất quá nhiều thời gian"
}
func (vietnamese) NotFinished() string     { return "Chưa hoàn tất" }
func (vietnamese) NothingHere() string     { return "Ở đây không có gì" }
func (vietnamese) NothingToFinish() string { return "Ở đây không có gì cần hoàn tất" }
func (vietnamese) OneMoment() string       { return "Vui lòng chờ một lát" }
func (vietnamese) DidYouStart() string {
	return "Có phải bạn đã bắt đầu lần đăng nhập này?"
}

func (vietnamese) Connected() string { return "{plugin} đã được kết nối với {provider}." }
func (vietnamese) ConnectedUnnamed() string {
	return "Plugin đã được kết nối với {provider}."
}
func (vietnamese) Close() string {
	return "Bạn có thể đóng cửa sổ này và quay lại {app}."
}
func (vietnamese) StartAgain() string {
	return "Hãy đóng cửa sổ này, quay lại {app} và bắt đầu đăng nhập lại."
}
func (vietnamese) StillWaits() string {
	return "Nếu plugin có vẻ vẫn đang chờ, hãy đóng rồi mở lại."
}
func (vietnamese) ReturnTo() string   { return "Quay lại {app}" }
func (vietnamese) LoadsAgain() string { return "Trang này sẽ tự tải lại." }

func (vietnamese) Started() string { return "Lần đăng nhập này bắt đầu {ago}." }
func (vietnamese) StartedElsewhere() string {
	return "Lần đăng nhập này bắt đầu {ago}, trên một mạng khác với mạng của bạn."
}

func (vietnamese) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "chưa đầy một phút trước"
	case 1:
		return "một phút trước"
	}
	return fmt.Sprintf("%d phút trước", minutes)
}

func (vietnamese) GivesAway() string {
	return "Nếu bạn tiếp tục, người đã bắt đầu sẽ truy cập được vào tài khoản {provider} của bạn thông qua " +
		"{plugin}."
}
func (vietnamese) GivesAwayUnnamed() string {
	return "Nếu bạn tiếp tục, người đã bắt đầu sẽ truy cập được vào tài khoản {provider} của bạn thông qua " +
		"plugin này."
}
func (vietnamese) OnlyIfYou() string {
	return "Chỉ tiếp tục nếu chính bạn đã bắt đầu trong {app}. Nếu ai đó gửi cho bạn một liên kết, hãy " +
		"hủy. Đừng tải lại trang này."
}
func (vietnamese) Cancel() string   { return "Hủy" }
func (vietnamese) Continue() string { return "Tiếp tục" }
func (vietnamese) ChooseAfterRestart() string {
	return "Dịch vụ đang khởi động lại. Vui lòng chọn lại sau giây lát."
}
func (vietnamese) ChooseLater() string {
	return "Hiện có nhiều người đang đăng nhập. Vui lòng chọn lại sau giây lát."
}

func (vietnamese) ProviderRefused() string {
	return "Nhà cung cấp đã từ chối lần đăng nhập này." + vietnameseTellAuthor
}
func (vietnamese) AccessDenied() string {
	return "Đăng nhập đã bị hủy, hoặc quyền truy cập không được cho phép. Plugin không có quyền truy cập."
}
func (vietnamese) ClientRefused() string {
	return "Nhà cung cấp không chấp nhận chính plugin này." + vietnameseTellAuthor
}
func (vietnamese) GrantRefused() string {
	return "Nhà cung cấp không còn chấp nhận lần đăng nhập này. Vui lòng đăng nhập lại. Nếu lần nào cũng " +
		"vậy, hãy báo cho tác giả plugin."
}
func (vietnamese) ScopeRefused() string {
	return "Plugin yêu cầu một thứ mà nhà cung cấp không có." + vietnameseTellAuthor
}
func (vietnamese) AddressUnknown() string {
	return "Nhà cung cấp không biết địa chỉ mà lần đăng nhập này quay về." + vietnameseTellAuthor
}
func (vietnamese) RequestRefused() string {
	return "Nhà cung cấp không chấp nhận cách plugin yêu cầu quyền truy cập." + vietnameseTellAuthor
}
func (vietnamese) ProviderFailed() string {
	return "Chính nhà cung cấp đang gặp sự cố." + vietnameseTryAgain
}
func (vietnamese) TimedOut() string {
	return "Nhà cung cấp mất quá nhiều thời gian để trả lời." + vietnameseTryAgain
}
func (vietnamese) Unreachable() string {
	return "Không thể liên lạc với nhà cung cấp." + vietnameseTryAgain
}
func (vietnamese) NoAccess() string {
	return "Nhà cung cấp đã trả lời nhưng không cấp quyền truy cập cho plugin." + vietnameseTryAgain
}
func (vietnamese) OtherProvider() string {
	return "Câu trả lời đến từ một nhà cung cấp khác với nhà cung cấp đã được hỏi. Không có gì được chia " +
		"sẻ." + vietnameseTellAuthor
}
func (vietnamese) NoAnswer() string {
	return "Nhà cung cấp đã đưa bạn trở lại mà không có câu trả lời. Không có gì được chia sẻ." +
		vietnameseTryAgain
}
func (vietnamese) ConsentRequired() string {
	return "Nhà cung cấp đang chờ bạn, hoặc chủ tài khoản, đăng nhập tại đó hoặc cho phép truy cập. Sau " +
		"đó, hãy bắt đầu đăng nhập lại trong plugin."
}

func (vietnamese) DoneOrStartAgain() string {
	return "Nếu bạn vừa đăng nhập thì mọi việc đã xong. Nếu chưa, hãy bắt đầu đăng nhập lại trong plugin."
}
func (vietnamese) ForeignChoice() string {
	return "Câu trả lời không đến từ trang đặt câu hỏi. Không có gì được chia sẻ. Nếu bạn đã bắt đầu lần " +
		"đăng nhập này, hãy bắt đầu lại trong plugin."
}
func (vietnamese) TooMuchTime() string {
	return "Đã quá nhiều thời gian trôi qua trước khi hoàn tất. Không có gì được chia sẻ."
}
func (vietnamese) EndedBefore() string {
	return "Lần đăng nhập này đã bị kết thúc trước khi hoàn tất. Không có gì được chia sẻ."
}
func (vietnamese) UnknownSignIn() string {
	return "Ở đây không biết lần đăng nhập này. Có thể nó đã quá cũ, hoặc địa chỉ không đầy đủ."
}
func (vietnamese) FailedBefore() string {
	return "Lần đăng nhập này không thành công. Đây không phải lỗi của bạn. Hãy bắt đầu lại trong plugin; " +
		"nếu vẫn vậy, hãy báo cho tác giả plugin."
}
func (vietnamese) ManySignIns() string { return "Hiện có nhiều người đang đăng nhập." }
func (vietnamese) BeingFinished() string {
	return "Lần đăng nhập của bạn đang được hoàn tất."
}
func (vietnamese) Restarting() string { return "Dịch vụ đang khởi động lại." }
func (vietnamese) StartAgainThere() string {
	return "Nếu lát nữa plugin vẫn chưa đăng nhập, hãy bắt đầu lại ở đó."
}
func (vietnamese) NoPlugin() string {
	return "Chưa có plugin nào được thiết lập ở đây." + vietnameseTellAuthor
}
func (vietnamese) NotUsable() string {
	return "Hiện không thể sử dụng plugin này." + vietnameseTellAuthor
}
func (vietnamese) SwitchedOff() string   { return "Plugin này đã bị tắt." }
func (vietnamese) NoSuchAddress() string { return "Không có địa chỉ này." }
func (vietnamese) NotForPeople() string {
	return "Địa chỉ này dành cho plugin và nhà cung cấp."
}
func (vietnamese) Fault() string { return "Đã xảy ra lỗi ở đây." + vietnameseTryAgain }
func (vietnamese) NotRead() string {
	return "Không thể đọc yêu cầu. Hãy bắt đầu đăng nhập lại trong plugin."
}
