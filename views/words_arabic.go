package views

import (
	"fmt"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// arabic is the language ar.
type arabic struct{}

// What a person can do about most errors.
const (
	arabicTellAuthor = " هذا ليس خطأك. أبلغ مطوّر الإضافة."
	arabicTryAgain   = " هذا ليس خطأك. حاول مرة أخرى بعد قليل، وإذا استمرت المشكلة فأبلغ مطوّر الإضافة."
)

func (arabic) SignedIn() string  { return "تم تسجيل الدخول" }
func (arabic) Cancelled() string { return "أُلغي تسجيل الدخول" }
func (arabic) Failed() string    { return "تعذّر تسجيل الدخول" }
func (arabic) TookTooLong() string {
	return "استغرق تسجيل الدخول هذا وقتًا طويلًا جدًا"
}
func (arabic) NotFinished() string     { return "لم يكتمل بعد" }
func (arabic) NothingHere() string     { return "لا يوجد شيء هنا" }
func (arabic) NothingToFinish() string { return "لا يوجد هنا ما يجب إكماله" }
func (arabic) OneMoment() string       { return "لحظة من فضلك" }
func (arabic) DidYouStart() string     { return "هل أنت من بدأ تسجيل الدخول هذا؟" }

func (arabic) Connected() string        { return "تم ربط {plugin} بـ {provider}." }
func (arabic) ConnectedUnnamed() string { return "تم ربط الإضافة بـ {provider}." }
func (arabic) Close() string {
	return "يمكنك إغلاق هذه النافذة والعودة إلى {app}."
}
func (arabic) StartAgain() string {
	return "أغلق هذه النافذة وعُد إلى {app} وابدأ تسجيل الدخول من جديد."
}
func (arabic) StillWaits() string {
	return "إذا بدا أن الإضافة ما زالت تنتظر، فأغلقها وافتحها من جديد."
}
func (arabic) ReturnTo() string { return "العودة إلى {app}" }
func (arabic) LoadsAgain() string {
	return "ستُحمَّل هذه الصفحة من جديد تلقائيًا."
}

func (arabic) Started() string { return "بدأ تسجيل الدخول {ago}." }
func (arabic) StartedElsewhere() string {
	return "بدأ تسجيل الدخول {ago}، من شبكة غير شبكتك."
}

func (arabic) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "قبل أقل من دقيقة"
	case 1:
		return "قبل دقيقة"
	}
	switch pluralOf(language.Arabic, minutes) {
	case plural.Two:
		return "قبل دقيقتين"
	case plural.Few:
		return fmt.Sprintf("قبل %d دقائق", minutes)
	}
	return fmt.Sprintf("قبل %d دقيقة", minutes)
}

func (arabic) GivesAway() string {
	return "إذا تابعت، فسيتمكن من بدأه من الوصول إلى حسابك في {provider} عبر {plugin}."
}
func (arabic) GivesAwayUnnamed() string {
	return "إذا تابعت، فسيتمكن من بدأه من الوصول إلى حسابك في {provider} عبر هذه الإضافة."
}
func (arabic) OnlyIfYou() string {
	return "لا تتابع إلا إذا كنت أنت من بدأه في {app}. إذا أرسل إليك أحد رابطًا، فألغِ. لا تُعِد تحميل هذه " +
		"الصفحة."
}
func (arabic) Cancel() string   { return "إلغاء" }
func (arabic) Continue() string { return "متابعة" }
func (arabic) ChooseAfterRestart() string {
	return "يُعاد تشغيل الخدمة الآن. يُرجى الاختيار مرة أخرى بعد قليل."
}
func (arabic) ChooseLater() string {
	return "يسجّل كثيرون الدخول الآن. يُرجى الاختيار مرة أخرى بعد قليل."
}

func (arabic) ProviderRefused() string {
	return "رفض مزوّد الخدمة تسجيل الدخول." + arabicTellAuthor
}
func (arabic) AccessDenied() string {
	return "أُلغي تسجيل الدخول أو لم يُسمح بالوصول. ليس للإضافة أي وصول."
}
func (arabic) ClientRefused() string {
	return "لا يقبل مزوّد الخدمة الإضافة نفسها." + arabicTellAuthor
}
func (arabic) GrantRefused() string {
	return "لم يعد مزوّد الخدمة يقبل تسجيل الدخول هذا. يُرجى تسجيل الدخول من جديد. إذا تكرر ذلك في كل مرة، " +
		"فأبلغ مطوّر الإضافة."
}
func (arabic) ScopeRefused() string {
	return "تطلب الإضافة من مزوّد الخدمة شيئًا لا يقدّمه." + arabicTellAuthor
}
func (arabic) AddressUnknown() string {
	return "لا يعرف مزوّد الخدمة العنوان الذي يعود إليه تسجيل الدخول هذا." + arabicTellAuthor
}
func (arabic) RequestRefused() string {
	return "لا يقبل مزوّد الخدمة الطريقة التي تطلب بها الإضافة الوصول." + arabicTellAuthor
}
func (arabic) ProviderFailed() string {
	return "لدى مزوّد الخدمة نفسه مشكلة الآن." + arabicTryAgain
}
func (arabic) TimedOut() string {
	return "تأخر مزوّد الخدمة كثيرًا في الرد." + arabicTryAgain
}
func (arabic) Unreachable() string {
	return "تعذّر الوصول إلى مزوّد الخدمة." + arabicTryAgain
}
func (arabic) NoAccess() string {
	return "ردّ مزوّد الخدمة دون منح الإضافة أي وصول." + arabicTryAgain
}
func (arabic) OtherProvider() string {
	return "جاء الرد من مزوّد خدمة غير الذي سُئل. لم تتم مشاركة أي شيء." + arabicTellAuthor
}
func (arabic) NoAnswer() string {
	return "أعادك مزوّد الخدمة دون رد. لم تتم مشاركة أي شيء." + arabicTryAgain
}
func (arabic) ConsentRequired() string {
	return "ينتظر مزوّد الخدمة أن تسجّل الدخول لديه أو تسمح بالوصول، أنت أو صاحب الحساب. بعد ذلك ابدأ تسجيل " +
		"الدخول من جديد في الإضافة."
}

func (arabic) DoneOrStartAgain() string {
	return "إذا كنت قد سجّلت الدخول للتو، فقد اكتمل كل شيء. وإلا فابدأ تسجيل الدخول من جديد في الإضافة."
}
func (arabic) ForeignChoice() string {
	return "لم يأتِ الرد من الصفحة التي تطرح السؤال. لم تتم مشاركة أي شيء. إذا كنت أنت من بدأ تسجيل الدخول " +
		"هذا، فابدأه من جديد في الإضافة."
}
func (arabic) TooMuchTime() string {
	return "مرّ وقت طويل جدًا قبل إكماله. لم تتم مشاركة أي شيء."
}
func (arabic) EndedBefore() string {
	return "أُنهي تسجيل الدخول هذا قبل إكماله. لم تتم مشاركة أي شيء."
}
func (arabic) UnknownSignIn() string {
	return "تسجيل الدخول هذا غير معروف هنا. قد يكون قديمًا جدًا، أو قد يكون العنوان غير كامل."
}
func (arabic) FailedBefore() string {
	return "لم ينجح تسجيل الدخول هذا. هذا ليس خطأك. ابدأه من جديد في الإضافة، وإذا استمرت المشكلة فأبلغ " +
		"مطوّر الإضافة."
}
func (arabic) ManySignIns() string {
	return "يسجّل كثيرون الدخول في هذه اللحظة."
}
func (arabic) BeingFinished() string { return "يجري الآن إكمال تسجيل دخولك." }
func (arabic) Restarting() string    { return "يُعاد تشغيل الخدمة الآن." }
func (arabic) StartAgainThere() string {
	return "إذا لم يظهر تسجيل الدخول في الإضافة بعد قليل، فابدأ من جديد هناك."
}
func (arabic) NoPlugin() string {
	return "لم تُعدّ أي إضافة هنا بعد." + arabicTellAuthor
}
func (arabic) NotUsable() string {
	return "لا يمكن استخدام هذه الإضافة الآن." + arabicTellAuthor
}
func (arabic) SwitchedOff() string   { return "هذه الإضافة متوقفة." }
func (arabic) NoSuchAddress() string { return "لا يوجد عنوان كهذا." }
func (arabic) NotForPeople() string {
	return "هذا العنوان مخصّص للإضافات ومزوّدي الخدمة."
}
func (arabic) Fault() string { return "حدث خطأ ما هنا." + arabicTryAgain }
func (arabic) NotRead() string {
	return "تعذّرت قراءة الطلب. ابدأ تسجيل الدخول من جديد في الإضافة."
}
