package views

import "fmt"

// japanese is the language ja.
type japanese struct{}

// What a person can do about most errors.
const (
	japaneseTellAuthor = "お客様に問題はありません。プラグインの作者にお知らせください。"
	japaneseTryAgain   = "お客様に問題はありません。しばらくしてからもう一度お試しください。それでも直らな" +
		"い場合は、プラグインの作者にお知らせください。"
)

func (japanese) SignedIn() string        { return "サインインしました" }
func (japanese) Cancelled() string       { return "サインインをキャンセルしました" }
func (japanese) Failed() string          { return "サインインできませんでした" }
func (japanese) TookTooLong() string     { return "サインインに時間がかかりすぎました" }
func (japanese) NotFinished() string     { return "まだ完了していません" }
func (japanese) NothingHere() string     { return "ここには何もありません" }
func (japanese) NothingToFinish() string { return "ここで完了するものはありません" }
func (japanese) OneMoment() string       { return "少々お待ちください" }
func (japanese) DidYouStart() string {
	return "このサインインを始めたのはあなたですか？"
}

func (japanese) Connected() string { return "{plugin} は {provider} に接続されました。" }
func (japanese) ConnectedUnnamed() string {
	return "プラグインは {provider} に接続されました。"
}
func (japanese) Close() string {
	return "このウィンドウを閉じて {app} に戻ってください。"
}
func (japanese) StartAgain() string {
	return "このウィンドウを閉じ、{app} に戻って、サインインをもう一度始めてください。"
}
func (japanese) StillWaits() string {
	return "プラグインがまだ待機しているようなら、閉じてから開き直してください。"
}
func (japanese) ReturnTo() string { return "{app} に戻る" }
func (japanese) LoadsAgain() string {
	return "このページは自動的に再読み込みされます。"
}

func (japanese) Started() string { return "このサインインは{ago}に始められました。" }
func (japanese) StartedElsewhere() string {
	return "このサインインは{ago}に、あなたとは別のネットワークから始められました。"
}

func (japanese) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "1 分以内"
	case 1:
		return "1 分前"
	}
	return fmt.Sprintf("%d 分前", minutes)
}

func (japanese) GivesAway() string {
	return "続行すると、サインインを始めた人が {plugin} を通じてあなたの {provider} アカウントにアクセスで" +
		"きるようになります。"
}
func (japanese) GivesAwayUnnamed() string {
	return "続行すると、サインインを始めた人がこのプラグインを通じてあなたの {provider} アカウントにアクセ" +
		"スできるようになります。"
}
func (japanese) OnlyIfYou() string {
	return "あなた自身が {app} で始めた場合にだけ続行してください。誰かからリンクが送られてきた場合は、キャ" +
		"ンセルしてください。このページを再読み込みしないでください。"
}
func (japanese) Cancel() string   { return "キャンセル" }
func (japanese) Continue() string { return "続行" }
func (japanese) ChooseAfterRestart() string {
	return "サービスを再起動しています。しばらくしてからもう一度選んでください。"
}
func (japanese) ChooseLater() string {
	return "現在、多くの人がサインインしています。しばらくしてからもう一度選んでください。"
}

func (japanese) ProviderRefused() string {
	return "プロバイダーがサインインを拒否しました。" + japaneseTellAuthor
}
func (japanese) AccessDenied() string {
	return "サインインがキャンセルされたか、アクセスが許可されませんでした。プラグインはアクセスできません。"
}
func (japanese) ClientRefused() string {
	return "プロバイダーがプラグイン自体を受け付けません。" + japaneseTellAuthor
}
func (japanese) GrantRefused() string {
	return "プロバイダーはこのサインインをもう受け付けません。もう一度サインインしてください。毎回起こる場" +
		"合は、プラグインの作者にお知らせください。"
}
func (japanese) ScopeRefused() string {
	return "プラグインが、プロバイダーの提供していないものを求めています。" + japaneseTellAuthor
}
func (japanese) AddressUnknown() string {
	return "このサインインの戻り先のアドレスが、プロバイダーに登録されていません。" + japaneseTellAuthor
}
func (japanese) RequestRefused() string {
	return "プラグインのアクセスの求め方を、プロバイダーが受け付けません。" + japaneseTellAuthor
}
func (japanese) ProviderFailed() string {
	return "プロバイダー側で問題が起きています。" + japaneseTryAgain
}
func (japanese) TimedOut() string {
	return "プロバイダーの応答に時間がかかりすぎました。" + japaneseTryAgain
}
func (japanese) Unreachable() string {
	return "プロバイダーに接続できませんでした。" + japaneseTryAgain
}
func (japanese) NoAccess() string {
	return "プロバイダーは応答しましたが、プラグインにアクセスを与えませんでした。" + japaneseTryAgain
}
func (japanese) OtherProvider() string {
	return "問い合わせた先とは別のプロバイダーから応答がありました。何も共有されていません。" +
		japaneseTellAuthor
}
func (japanese) NoAnswer() string {
	return "プロバイダーから応答のないまま戻されました。何も共有されていません。" + japaneseTryAgain
}
func (japanese) ConsentRequired() string {
	return "プロバイダーは、あなたかアカウントの所有者がそこでサインインするか、アクセスを許可するのを待っ" +
		"ています。その後、プラグインでサインインをもう一度始めてください。"
}

func (japanese) DoneOrStartAgain() string {
	return "先ほどサインインした場合は、これで完了です。そうでない場合は、プラグインでサインインをもう一度" +
		"始めてください。"
}
func (japanese) ForeignChoice() string {
	return "質問のページとは別の場所から回答が届きました。何も共有されていません。このサインインを始めたの" +
		"があなたなら、プラグインでもう一度始めてください。"
}
func (japanese) TooMuchTime() string {
	return "完了までに時間がかかりすぎました。何も共有されていません。"
}
func (japanese) EndedBefore() string {
	return "このサインインは完了する前に終了されました。何も共有されていません。"
}
func (japanese) UnknownSignIn() string {
	return "このサインインは見つかりません。古すぎるか、アドレスが不完全かもしれません。"
}
func (japanese) FailedBefore() string {
	return "このサインインはうまくいきませんでした。お客様に問題はありません。プラグインでもう一度始めてく" +
		"ださい。それでも直らない場合は、プラグインの作者にお知らせください。"
}
func (japanese) ManySignIns() string {
	return "現在、多くの人がサインインしています。"
}
func (japanese) BeingFinished() string { return "サインインを完了しています。" }
func (japanese) Restarting() string    { return "サービスを再起動しています。" }
func (japanese) StartAgainThere() string {
	return "しばらくしてもプラグインがサインインされない場合は、プラグインでもう一度始めてください。"
}
func (japanese) NoPlugin() string {
	return "ここにはまだプラグインが設定されていません。" + japaneseTellAuthor
}
func (japanese) NotUsable() string {
	return "このプラグインは現在使用できません。" + japaneseTellAuthor
}
func (japanese) SwitchedOff() string   { return "このプラグインは無効になっています。" }
func (japanese) NoSuchAddress() string { return "このアドレスは存在しません。" }
func (japanese) NotForPeople() string {
	return "このアドレスはプラグインとプロバイダー専用です。"
}
func (japanese) Fault() string { return "問題が発生しました。" + japaneseTryAgain }
func (japanese) NotRead() string {
	return "リクエストを読み取れませんでした。プラグインでサインインをもう一度始めてください。"
}
