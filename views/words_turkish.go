package views

import "fmt"

// turkish is the language tr. Names take no suffix, since that would depend on how they are spoken.
type turkish struct{}

// What a person can do about most errors.
const (
	turkishTellAuthor = " Bu sizin hatanız değil. Eklentinin geliştiricisine haber verin."
	turkishTryAgain   = " Bu sizin hatanız değil. Birazdan yeniden deneyin; sorun sürerse eklentinin " +
		"geliştiricisine haber verin."
)

func (turkish) SignedIn() string        { return "Oturum açtınız" }
func (turkish) Cancelled() string       { return "Oturum açma iptal edildi" }
func (turkish) Failed() string          { return "Oturum açılamadı" }
func (turkish) TookTooLong() string     { return "Bu oturum açma işlemi çok uzun sürdü" }
func (turkish) NotFinished() string     { return "Henüz bitmedi" }
func (turkish) NothingHere() string     { return "Burada bir şey yok" }
func (turkish) NothingToFinish() string { return "Burada tamamlanacak bir şey yok" }
func (turkish) OneMoment() string       { return "Bir dakika lütfen" }
func (turkish) DidYouStart() string     { return "Bu oturum açma işlemini siz mi başlattınız?" }

func (turkish) Connected() string        { return "{plugin} ile {provider} birbirine bağlandı." }
func (turkish) ConnectedUnnamed() string { return "Eklenti ile {provider} birbirine bağlandı." }
func (turkish) Close() string            { return "Bu pencereyi kapatıp {app} uygulamasına dönebilirsiniz." }
func (turkish) StartAgain() string {
	return "Bu pencereyi kapatın, {app} uygulamasına dönün ve oturum açmayı yeniden başlatın."
}
func (turkish) StillWaits() string {
	return "Eklenti hâlâ bekliyor gibi görünüyorsa kapatıp yeniden açın."
}
func (turkish) ReturnTo() string   { return "{app} uygulamasına dön" }
func (turkish) LoadsAgain() string { return "Bu sayfa kendiliğinden yenilenir." }

func (turkish) Started() string { return "İşlem {ago} başlatıldı." }
func (turkish) StartedElsewhere() string {
	return "İşlem {ago}, sizinkinden farklı bir ağda başlatıldı."
}

func (turkish) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "bir dakikadan kısa süre önce"
	case 1:
		return "bir dakika önce"
	}
	return fmt.Sprintf("%d dakika önce", minutes)
}

func (turkish) GivesAway() string {
	return "Devam ederseniz, bu işlemi başlatan kişi {plugin} aracılığıyla {provider} hesabınıza erişir."
}
func (turkish) GivesAwayUnnamed() string {
	return "Devam ederseniz, bu işlemi başlatan kişi bu eklenti aracılığıyla {provider} hesabınıza erişir."
}
func (turkish) OnlyIfYou() string {
	return "Yalnızca {app} uygulamasında bunu siz başlattıysanız devam edin. Biri size bağlantı " +
		"gönderdiyse iptal edin. Bu sayfayı yenilemeyin."
}
func (turkish) Cancel() string   { return "İptal et" }
func (turkish) Continue() string { return "Devam et" }
func (turkish) ChooseAfterRestart() string {
	return "Hizmet yeniden başlatılıyor. Lütfen birazdan yeniden seçin."
}
func (turkish) ChooseLater() string {
	return "Şu anda çok sayıda kişi oturum açıyor. Lütfen birazdan yeniden seçin."
}

func (turkish) ProviderRefused() string {
	return "Sağlayıcı oturum açmayı reddetti." + turkishTellAuthor
}
func (turkish) AccessDenied() string {
	return "Oturum açma iptal edildi veya erişime izin verilmedi. Eklentinin erişimi yok."
}
func (turkish) ClientRefused() string {
	return "Sağlayıcı eklentinin kendisini kabul etmiyor." + turkishTellAuthor
}
func (turkish) GrantRefused() string {
	return "Sağlayıcı bu oturum açma işlemini artık kabul etmiyor. Lütfen yeniden oturum açın. Her " +
		"seferinde oluyorsa eklentinin geliştiricisine haber verin."
}
func (turkish) ScopeRefused() string {
	return "Eklenti, sağlayıcıdan sunmadığı bir şey istiyor." + turkishTellAuthor
}
func (turkish) AddressUnknown() string {
	return "Sağlayıcı, bu işlemin geri döneceği adresi tanımıyor." + turkishTellAuthor
}
func (turkish) RequestRefused() string {
	return "Sağlayıcı, eklentinin erişim isteme biçimini kabul etmiyor." + turkishTellAuthor
}
func (turkish) ProviderFailed() string {
	return "Sağlayıcının kendisinde bir sorun var." + turkishTryAgain
}
func (turkish) TimedOut() string {
	return "Sağlayıcının yanıt vermesi çok uzun sürdü." + turkishTryAgain
}
func (turkish) Unreachable() string { return "Sağlayıcıya ulaşılamadı." + turkishTryAgain }
func (turkish) NoAccess() string {
	return "Sağlayıcı yanıt verdi ama eklentiye erişim vermedi." + turkishTryAgain
}
func (turkish) OtherProvider() string {
	return "Yanıt, sorulandan başka bir sağlayıcıdan geldi. Hiçbir şey paylaşılmadı." + turkishTellAuthor
}
func (turkish) NoAnswer() string {
	return "Sağlayıcı sizi yanıtsız geri gönderdi. Hiçbir şey paylaşılmadı." + turkishTryAgain
}
func (turkish) ConsentRequired() string {
	return "Sağlayıcı, sizin veya hesap sahibinin orada oturum açmasını ya da erişime izin vermesini " +
		"bekliyor. Ardından eklentide oturum açmayı yeniden başlatın."
}

func (turkish) DoneOrStartAgain() string {
	return "Az önce oturum açtıysanız her şey tamam. Açmadıysanız eklentide oturum açmayı yeniden başlatın."
}
func (turkish) ForeignChoice() string {
	return "Yanıt, soruyu soran sayfadan gelmedi. Hiçbir şey paylaşılmadı. Bu işlemi siz başlattıysanız " +
		"eklentide yeniden başlatın."
}
func (turkish) TooMuchTime() string {
	return "Tamamlanmadan önce çok fazla zaman geçti. Hiçbir şey paylaşılmadı."
}
func (turkish) EndedBefore() string {
	return "Bu oturum açma işlemi tamamlanmadan sona erdirildi. Hiçbir şey paylaşılmadı."
}
func (turkish) UnknownSignIn() string {
	return "Bu oturum açma işlemi burada bilinmiyor. Çok eski olabilir veya adres eksik olabilir."
}
func (turkish) FailedBefore() string {
	return "Bu oturum açma işlemi başarısız oldu. Bu sizin hatanız değil. Eklentide yeniden başlatın; " +
		"sorun sürerse eklentinin geliştiricisine haber verin."
}
func (turkish) ManySignIns() string   { return "Şu anda çok sayıda kişi oturum açıyor." }
func (turkish) BeingFinished() string { return "Oturum açma işleminiz tamamlanıyor." }
func (turkish) Restarting() string    { return "Hizmet yeniden başlatılıyor." }
func (turkish) StartAgainThere() string {
	return "Eklentide birazdan oturum açılmazsa oradan yeniden başlayın."
}
func (turkish) NoPlugin() string {
	return "Burada henüz bir eklenti kurulmamış." + turkishTellAuthor
}
func (turkish) NotUsable() string     { return "Bu eklenti şu anda kullanılamıyor." + turkishTellAuthor }
func (turkish) SwitchedOff() string   { return "Bu eklenti kapatılmış." }
func (turkish) NoSuchAddress() string { return "Böyle bir adres yok." }
func (turkish) NotForPeople() string  { return "Bu adres eklentiler ve sağlayıcılar içindir." }
func (turkish) Fault() string         { return "Burada bir şeyler ters gitti." + turkishTryAgain }
func (turkish) NotRead() string {
	return "İstek okunamadı. Eklentide oturum açmayı yeniden başlatın."
}
