package views

import "fmt"

// hindi is the language hi.
type hindi struct{}

// What a person can do about most errors.
const (
	hindiTellAuthor = " यह आपकी गलती नहीं है। प्लगइन बनाने वाले को बताएँ।"
	hindiTryAgain   = " यह आपकी गलती नहीं है। थोड़ी देर में फिर कोशिश करें; अगर फिर भी न हो, तो प्लगइन बनाने वाले को " +
		"बताएँ।"
)

func (hindi) SignedIn() string  { return "साइन-इन हो गया" }
func (hindi) Cancelled() string { return "साइन-इन रद्द किया गया" }
func (hindi) Failed() string    { return "साइन-इन नहीं हो सका" }
func (hindi) TookTooLong() string {
	return "इस साइन-इन में बहुत समय लग गया"
}
func (hindi) NotFinished() string { return "अभी पूरा नहीं हुआ" }
func (hindi) NothingHere() string { return "यहाँ कुछ नहीं है" }
func (hindi) NothingToFinish() string {
	return "यहाँ पूरा करने के लिए कुछ नहीं है"
}
func (hindi) OneMoment() string { return "कृपया एक पल रुकें" }
func (hindi) DidYouStart() string {
	return "क्या यह साइन-इन आपने शुरू किया था?"
}

func (hindi) Connected() string { return "{plugin} अब {provider} से जुड़ा है।" }
func (hindi) ConnectedUnnamed() string {
	return "प्लगइन अब {provider} से जुड़ा है।"
}
func (hindi) Close() string {
	return "आप यह विंडो बंद करके {app} पर लौट सकते हैं।"
}
func (hindi) StartAgain() string {
	return "यह विंडो बंद करें, {app} पर लौटें और साइन-इन फिर से शुरू करें।"
}
func (hindi) StillWaits() string {
	return "अगर प्लगइन अब भी इंतज़ार करता दिखे, तो उसे बंद करके फिर खोलें।"
}
func (hindi) ReturnTo() string { return "{app} पर लौटें" }
func (hindi) LoadsAgain() string {
	return "यह पेज अपने आप फिर लोड होगा।"
}

func (hindi) Started() string { return "इसे {ago} शुरू किया गया था।" }
func (hindi) StartedElsewhere() string {
	return "इसे {ago} शुरू किया गया था, आपके नेटवर्क से अलग किसी नेटवर्क पर।"
}

func (hindi) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "एक मिनट से भी कम समय पहले"
	case 1:
		return "एक मिनट पहले"
	}
	return fmt.Sprintf("%d मिनट पहले", minutes)
}

func (hindi) GivesAway() string {
	return "अगर आप जारी रखते हैं, तो इसे शुरू करने वाले को {plugin} के ज़रिए आपके {provider} खाते का ऐक्सेस मिल जाएगा।"
}
func (hindi) GivesAwayUnnamed() string {
	return "अगर आप जारी रखते हैं, तो इसे शुरू करने वाले को इस प्लगइन के ज़रिए आपके {provider} खाते का ऐक्सेस मिल जाएगा।"
}
func (hindi) OnlyIfYou() string {
	return "तभी जारी रखें जब इसे {app} में आपने ही शुरू किया हो। अगर किसी ने आपको लिंक भेजा है, तो रद्द करें। यह पेज " +
		"दोबारा लोड न करें।"
}
func (hindi) Cancel() string   { return "रद्द करें" }
func (hindi) Continue() string { return "जारी रखें" }
func (hindi) ChooseAfterRestart() string {
	return "सेवा फिर से चालू हो रही है। कृपया थोड़ी देर में फिर चुनें।"
}
func (hindi) ChooseLater() string {
	return "अभी बहुत से लोग साइन-इन कर रहे हैं। कृपया थोड़ी देर में फिर चुनें।"
}

func (hindi) ProviderRefused() string {
	return "प्रदाता ने साइन-इन को अस्वीकार कर दिया।" + hindiTellAuthor
}
func (hindi) AccessDenied() string {
	return "साइन-इन रद्द किया गया, या ऐक्सेस की अनुमति नहीं दी गई। प्लगइन के पास कोई ऐक्सेस नहीं है।"
}
func (hindi) ClientRefused() string {
	return "प्रदाता इस प्लगइन को ही स्वीकार नहीं करता।" + hindiTellAuthor
}
func (hindi) GrantRefused() string {
	return "प्रदाता अब यह साइन-इन स्वीकार नहीं करता। कृपया फिर से साइन-इन करें। अगर हर बार ऐसा हो, तो प्लगइन बनाने " +
		"वाले को बताएँ।"
}
func (hindi) ScopeRefused() string {
	return "प्लगइन प्रदाता से ऐसी चीज़ माँग रहा है जो वह नहीं देता।" + hindiTellAuthor
}
func (hindi) AddressUnknown() string {
	return "प्रदाता वह पता नहीं जानता जिस पर यह साइन-इन लौटता है।" + hindiTellAuthor
}
func (hindi) RequestRefused() string {
	return "प्लगइन जिस तरह ऐक्सेस माँगता है, प्रदाता उसे स्वीकार नहीं करता।" + hindiTellAuthor
}
func (hindi) ProviderFailed() string {
	return "प्रदाता के यहाँ ही कोई समस्या है।" + hindiTryAgain
}
func (hindi) TimedOut() string {
	return "प्रदाता ने जवाब देने में बहुत समय लिया।" + hindiTryAgain
}
func (hindi) Unreachable() string {
	return "प्रदाता से संपर्क नहीं हो सका।" + hindiTryAgain
}
func (hindi) NoAccess() string {
	return "प्रदाता ने जवाब दिया, पर प्लगइन को ऐक्सेस नहीं दिया।" + hindiTryAgain
}
func (hindi) OtherProvider() string {
	return "जवाब उस प्रदाता से नहीं आया जिससे पूछा गया था। कुछ भी साझा नहीं किया गया।" + hindiTellAuthor
}
func (hindi) NoAnswer() string {
	return "प्रदाता ने आपको बिना जवाब के वापस भेज दिया। कुछ भी साझा नहीं किया गया।" + hindiTryAgain
}
func (hindi) ConsentRequired() string {
	return "प्रदाता इंतज़ार कर रहा है कि आप या खाते के मालिक वहाँ साइन-इन करें या ऐक्सेस की अनुमति दें। उसके बाद प्लगइन में " +
		"साइन-इन फिर से शुरू करें।"
}

func (hindi) DoneOrStartAgain() string {
	return "अगर आपने अभी साइन-इन किया है, तो सब हो गया। अगर नहीं, तो प्लगइन में साइन-इन फिर से शुरू करें।"
}
func (hindi) ForeignChoice() string {
	return "जवाब उस पेज से नहीं आया जो पूछता है। कुछ भी साझा नहीं किया गया। अगर यह साइन-इन आपने शुरू किया था, तो इसे " +
		"प्लगइन में फिर से शुरू करें।"
}
func (hindi) TooMuchTime() string {
	return "पूरा होने से पहले बहुत समय बीत गया। कुछ भी साझा नहीं किया गया।"
}
func (hindi) EndedBefore() string {
	return "यह साइन-इन पूरा होने से पहले ही रोक दिया गया। कुछ भी साझा नहीं किया गया।"
}
func (hindi) UnknownSignIn() string {
	return "यह साइन-इन यहाँ ज्ञात नहीं है। शायद यह बहुत पुराना है, या पता अधूरा है।"
}
func (hindi) FailedBefore() string {
	return "यह साइन-इन नहीं हो सका। यह आपकी गलती नहीं है। इसे प्लगइन में फिर से शुरू करें; अगर फिर भी न हो, तो प्लगइन " +
		"बनाने वाले को बताएँ।"
}
func (hindi) ManySignIns() string {
	return "इस समय बहुत से लोग साइन-इन कर रहे हैं।"
}
func (hindi) BeingFinished() string {
	return "आपका साइन-इन पूरा किया जा रहा है।"
}
func (hindi) Restarting() string {
	return "सेवा फिर से चालू हो रही है।"
}
func (hindi) StartAgainThere() string {
	return "अगर थोड़ी देर में प्लगइन में साइन-इन न दिखे, तो वहाँ फिर से शुरू करें।"
}
func (hindi) NoPlugin() string {
	return "यहाँ अभी कोई प्लगइन सेट अप नहीं है।" + hindiTellAuthor
}
func (hindi) NotUsable() string {
	return "इस प्लगइन का अभी इस्तेमाल नहीं किया जा सकता।" + hindiTellAuthor
}
func (hindi) SwitchedOff() string   { return "यह प्लगइन बंद है।" }
func (hindi) NoSuchAddress() string { return "ऐसा कोई पता नहीं है।" }
func (hindi) NotForPeople() string {
	return "यह पता प्लगइनों और प्रदाताओं के लिए है।"
}
func (hindi) Fault() string {
	return "यहाँ कुछ गड़बड़ हो गई।" + hindiTryAgain
}
func (hindi) NotRead() string {
	return "अनुरोध पढ़ा नहीं जा सका। प्लगइन में साइन-इन फिर से शुरू करें।"
}
