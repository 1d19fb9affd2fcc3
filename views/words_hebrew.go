package views

import "fmt"

// hebrew is the language he. It avoids forms that depend on the reader's gender.
type hebrew struct{}

// What a person can do about most errors.
const (
	hebrewTellAuthor = " זו לא אשמתך. כדאי להודיע למפתחי התוסף."
	hebrewTryAgain   = " זו לא אשמתך. אפשר לנסות שוב בעוד רגע; אם הבעיה נמשכת, כדאי להודיע למפתחי התוסף."
)

func (hebrew) SignedIn() string        { return "ההתחברות הצליחה" }
func (hebrew) Cancelled() string       { return "ההתחברות בוטלה" }
func (hebrew) Failed() string          { return "ההתחברות נכשלה" }
func (hebrew) TookTooLong() string     { return "ההתחברות הזו ארכה זמן רב מדי" }
func (hebrew) NotFinished() string     { return "עדיין לא הסתיים" }
func (hebrew) NothingHere() string     { return "אין כאן כלום" }
func (hebrew) NothingToFinish() string { return "אין כאן מה להשלים" }
func (hebrew) OneMoment() string       { return "רגע אחד, בבקשה" }
func (hebrew) DidYouStart() string     { return "האם התחלת את ההתחברות הזו?" }

func (hebrew) Connected() string        { return "{plugin} מחובר אל {provider}." }
func (hebrew) ConnectedUnnamed() string { return "התוסף מחובר אל {provider}." }
func (hebrew) Close() string {
	return "אפשר לסגור את החלון הזה ולחזור אל {app}."
}
func (hebrew) StartAgain() string {
	return "יש לסגור את החלון הזה, לחזור אל {app} ולהתחיל את ההתחברות מחדש."
}
func (hebrew) StillWaits() string {
	return "אם נראה שהתוסף עדיין ממתין, יש לסגור אותו ולפתוח אותו שוב."
}
func (hebrew) ReturnTo() string   { return "חזרה אל {app}" }
func (hebrew) LoadsAgain() string { return "הדף הזה נטען מחדש מעצמו." }

func (hebrew) Started() string { return "היא התחילה {ago}." }
func (hebrew) StartedElsewhere() string {
	return "היא התחילה {ago}, ברשת אחרת ולא ברשת שלך."
}

func (hebrew) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "לפני פחות מדקה"
	case 1:
		return "לפני דקה"
	}
	return fmt.Sprintf("לפני %d דקות", minutes)
}

func (hebrew) GivesAway() string {
	return "אם ממשיכים, מי שהתחיל אותה יקבל גישה לחשבון שלך ב־{provider} דרך {plugin}."
}
func (hebrew) GivesAwayUnnamed() string {
	return "אם ממשיכים, מי שהתחיל אותה יקבל גישה לחשבון שלך ב־{provider} דרך התוסף הזה."
}
func (hebrew) OnlyIfYou() string {
	return "יש להמשיך רק אם התחלת אותה בעצמך, בתוך {app}. אם מישהו שלח לך קישור, יש לבטל. אין לטעון את הדף " +
		"הזה מחדש."
}
func (hebrew) Cancel() string   { return "ביטול" }
func (hebrew) Continue() string { return "המשך" }
func (hebrew) ChooseAfterRestart() string {
	return "השירות מופעל מחדש. נא לבחור שוב בעוד רגע."
}
func (hebrew) ChooseLater() string {
	return "אנשים רבים מתחברים כעת. נא לבחור שוב בעוד רגע."
}

func (hebrew) ProviderRefused() string {
	return "הספק סירב להתחברות." + hebrewTellAuthor
}
func (hebrew) AccessDenied() string {
	return "ההתחברות בוטלה, או שלא ניתנה גישה. לתוסף אין גישה."
}
func (hebrew) ClientRefused() string {
	return "הספק אינו מקבל את התוסף עצמו." + hebrewTellAuthor
}
func (hebrew) GrantRefused() string {
	return "הספק אינו מקבל עוד את ההתחברות הזו. נא להתחבר שוב. אם זה קורה בכל פעם, כדאי להודיע למפתחי התוסף."
}
func (hebrew) ScopeRefused() string {
	return "התוסף מבקש מהספק משהו שהוא אינו מציע." + hebrewTellAuthor
}
func (hebrew) AddressUnknown() string {
	return "הספק אינו מכיר את הכתובת שאליה ההתחברות הזו חוזרת." + hebrewTellAuthor
}
func (hebrew) RequestRefused() string {
	return "הספק אינו מקבל את האופן שבו התוסף מבקש גישה." + hebrewTellAuthor
}
func (hebrew) ProviderFailed() string {
	return "לספק עצמו יש כעת תקלה." + hebrewTryAgain
}
func (hebrew) TimedOut() string {
	return "לספק לקח זמן רב מדי להשיב." + hebrewTryAgain
}
func (hebrew) Unreachable() string {
	return "לא ניתן היה להגיע אל הספק." + hebrewTryAgain
}
func (hebrew) NoAccess() string {
	return "הספק השיב, אך לא נתן לתוסף גישה." + hebrewTryAgain
}
func (hebrew) OtherProvider() string {
	return "התשובה הגיעה מספק אחר ולא מזה שנשאל. שום דבר לא שותף." + hebrewTellAuthor
}
func (hebrew) NoAnswer() string {
	return "הספק החזיר אותך בלי תשובה. שום דבר לא שותף." + hebrewTryAgain
}
func (hebrew) ConsentRequired() string {
	return "הספק ממתין שההתחברות או אישור הגישה ייעשו אצלו, על ידך או על ידי בעל החשבון. לאחר מכן יש " +
		"להתחיל את ההתחברות בתוסף מחדש."
}

func (hebrew) DoneOrStartAgain() string {
	return "אם התחברת זה עתה, הכול מוכן. אם לא, יש להתחיל את ההתחברות בתוסף מחדש."
}
func (hebrew) ForeignChoice() string {
	return "התשובה לא הגיעה מהדף ששואל. שום דבר לא שותף. אם התחלת את ההתחברות הזו, יש להתחיל אותה בתוסף מחדש."
}
func (hebrew) TooMuchTime() string {
	return "עבר זמן רב מדי עד להשלמה. שום דבר לא שותף."
}
func (hebrew) EndedBefore() string {
	return "ההתחברות הזו הופסקה לפני שהושלמה. שום דבר לא שותף."
}
func (hebrew) UnknownSignIn() string {
	return "ההתחברות הזו אינה מוכרת כאן. ייתכן שהיא ישנה מדי, או שהכתובת אינה שלמה."
}
func (hebrew) FailedBefore() string {
	return "ההתחברות הזו לא הצליחה. זו לא אשמתך. יש להתחיל אותה בתוסף מחדש; אם הבעיה נמשכת, כדאי להודיע " +
		"למפתחי התוסף."
}
func (hebrew) ManySignIns() string   { return "אנשים רבים מתחברים ברגע זה." }
func (hebrew) BeingFinished() string { return "ההתחברות שלך עומדת להסתיים." }
func (hebrew) Restarting() string    { return "השירות מופעל מחדש." }
func (hebrew) StartAgainThere() string {
	return "אם בעוד רגע התוסף עדיין לא מחובר, יש להתחיל שם מחדש."
}
func (hebrew) NoPlugin() string {
	return "עדיין לא הוגדר כאן תוסף." + hebrewTellAuthor
}
func (hebrew) NotUsable() string {
	return "לא ניתן להשתמש בתוסף הזה כרגע." + hebrewTellAuthor
}
func (hebrew) SwitchedOff() string   { return "התוסף הזה כבוי." }
func (hebrew) NoSuchAddress() string { return "אין כתובת כזו." }
func (hebrew) NotForPeople() string {
	return "הכתובת הזו מיועדת לתוספים ולספקים."
}
func (hebrew) Fault() string { return "משהו השתבש כאן." + hebrewTryAgain }
func (hebrew) NotRead() string {
	return "לא ניתן היה לקרוא את הבקשה. יש להתחיל את ההתחברות בתוסף מחדש."
}
