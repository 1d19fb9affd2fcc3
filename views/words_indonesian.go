package views

import "fmt"

// indonesian is the language id.
type indonesian struct{}

// What a person can do about most errors.
const (
	indonesianTellAuthor = " Ini bukan kesalahan Anda. Beri tahu pembuat plugin."
	indonesianTryAgain   = " Ini bukan kesalahan Anda. Coba lagi sebentar lagi; jika tetap begini, beri " +
		"tahu pembuat plugin."
)

func (indonesian) SignedIn() string        { return "Anda sudah masuk" }
func (indonesian) Cancelled() string       { return "Proses masuk dibatalkan" }
func (indonesian) Failed() string          { return "Gagal masuk" }
func (indonesian) TookTooLong() string     { return "Proses masuk ini terlalu lama" }
func (indonesian) NotFinished() string     { return "Belum selesai" }
func (indonesian) NothingHere() string     { return "Tidak ada apa-apa di sini" }
func (indonesian) NothingToFinish() string { return "Tidak ada yang perlu diselesaikan di sini" }
func (indonesian) OneMoment() string       { return "Mohon tunggu sebentar" }
func (indonesian) DidYouStart() string     { return "Apakah Anda yang memulai proses masuk ini?" }

func (indonesian) Connected() string        { return "{plugin} terhubung ke {provider}." }
func (indonesian) ConnectedUnnamed() string { return "Plugin terhubung ke {provider}." }
func (indonesian) Close() string            { return "Anda dapat menutup jendela ini dan kembali ke {app}." }
func (indonesian) StartAgain() string {
	return "Tutup jendela ini, kembali ke {app}, lalu mulai lagi proses masuk."
}
func (indonesian) StillWaits() string {
	return "Jika plugin tampaknya masih menunggu, tutup lalu buka lagi."
}
func (indonesian) ReturnTo() string   { return "Kembali ke {app}" }
func (indonesian) LoadsAgain() string { return "Halaman ini akan dimuat ulang sendiri." }

func (indonesian) Started() string { return "Proses ini dimulai {ago}." }
func (indonesian) StartedElsewhere() string {
	return "Proses ini dimulai {ago}, di jaringan lain yang bukan milik Anda."
}

func (indonesian) Ago(minutes int) string {
	switch minutes {
	case 0:
		return "kurang dari satu menit lalu"
	case 1:
		return "satu menit lalu"
	}
	return fmt.Sprintf("%d menit lalu", minutes)
}

func (indonesian) GivesAway() string {
	return "Jika Anda melanjutkan, orang yang memulainya akan mendapat akses ke akun {provider} Anda " +
		"melalui {plugin}."
}
func (indonesian) GivesAwayUnnamed() string {
	return "Jika Anda melanjutkan, orang yang memulainya akan mendapat akses ke akun {provider} Anda " +
		"melalui plugin ini."
}
func (indonesian) OnlyIfYou() string {
	return "Lanjutkan hanya jika itu Anda, di {app}. Jika seseorang mengirimi Anda tautan, batalkan. " +
		"Jangan muat ulang halaman ini."
}
func (indonesian) Cancel() string   { return "Batalkan" }
func (indonesian) Continue() string { return "Lanjutkan" }
func (indonesian) ChooseAfterRestart() string {
	return "Layanan sedang dimulai ulang. Silakan pilih lagi sebentar lagi."
}
func (indonesian) ChooseLater() string {
	return "Banyak orang sedang masuk. Silakan pilih lagi sebentar lagi."
}

func (indonesian) ProviderRefused() string {
	return "Penyedia menolak proses masuk." + indonesianTellAuthor
}
func (indonesian) AccessDenied() string {
	return "Proses masuk dibatalkan, atau akses tidak diizinkan. Plugin tidak memiliki akses."
}
func (indonesian) ClientRefused() string {
	return "Penyedia tidak menerima plugin itu sendiri." + indonesianTellAuthor
}
func (indonesian) GrantRefused() string {
	return "Penyedia tidak lagi menerima proses masuk ini. Silakan masuk lagi. Jika selalu terjadi, beri " +
		"tahu pembuat plugin."
}
func (indonesian) ScopeRefused() string {
	return "Plugin meminta sesuatu yang tidak ditawarkan penyedia." + indonesianTellAuthor
}
func (indonesian) AddressUnknown() string {
	return "Penyedia tidak mengenal alamat tujuan kembali dari proses masuk ini." + indonesianTellAuthor
}
func (indonesian) RequestRefused() string {
	return "Penyedia tidak menerima cara plugin meminta akses." + indonesianTellAuthor
}
func (indonesian) ProviderFailed() string {
	return "Penyedia itu sendiri sedang bermasalah." + indonesianTryAgain
}
func (indonesian) TimedOut() string    { return "Penyedia terlalu lama menjawab." + indonesianTryAgain }
func (indonesian) Unreachable() string { return "Penyedia tidak dapat dihubungi." + indonesianTryAgain }
func (indonesian) NoAccess() string {
	return "Penyedia menjawab tanpa memberi akses kepada plugin." + indonesianTryAgain
}
func (indonesian) OtherProvider() string {
	return "Jawaban datang dari penyedia lain, bukan dari yang ditanya. Tidak ada yang dibagikan." +
		indonesianTellAuthor
}
func (indonesian) NoAnswer() string {
	return "Penyedia mengirim Anda kembali tanpa jawaban. Tidak ada yang dibagikan." + indonesianTryAgain
}
func (indonesian) ConsentRequired() string {
	return "Penyedia menunggu Anda, atau pemilik akun, untuk masuk di sana atau mengizinkan akses. Setelah " +
		"itu, mulai lagi proses masuk di plugin."
}

func (indonesian) DoneOrStartAgain() string {
	return "Jika Anda baru saja masuk, semuanya selesai. Jika belum, mulai lagi proses masuk di plugin."
}
func (indonesian) ForeignChoice() string {
	return "Jawaban tidak datang dari halaman yang bertanya. Tidak ada yang dibagikan. Jika Anda yang " +
		"memulai proses masuk ini, mulai lagi di plugin."
}
func (indonesian) TooMuchTime() string {
	return "Terlalu banyak waktu berlalu sebelum selesai. Tidak ada yang dibagikan."
}
func (indonesian) EndedBefore() string {
	return "Proses masuk ini dihentikan sebelum selesai. Tidak ada yang dibagikan."
}
func (indonesian) UnknownSignIn() string {
	return "Proses masuk ini tidak dikenal di sini. Mungkin sudah terlalu lama, atau alamatnya tidak lengkap."
}
func (indonesian) FailedBefore() string {
	return "Proses masuk ini tidak berhasil. Ini bukan kesalahan Anda. Mulai lagi di plugin; jika tetap " +
		"begini, beri tahu pembuat plugin."
}
func (indonesian) ManySignIns() string   { return "Saat ini banyak orang sedang masuk." }
func (indonesian) BeingFinished() string { return "Proses masuk Anda sedang diselesaikan." }
func (indonesian) Restarting() string    { return "Layanan sedang dimulai ulang." }
func (indonesian) StartAgainThere() string {
	return "Jika sebentar lagi plugin belum masuk, mulai lagi di sana."
}
func (indonesian) NoPlugin() string {
	return "Belum ada plugin yang disiapkan di sini." + indonesianTellAuthor
}
func (indonesian) NotUsable() string {
	return "Plugin ini tidak dapat digunakan saat ini." + indonesianTellAuthor
}
func (indonesian) SwitchedOff() string   { return "Plugin ini dinonaktifkan." }
func (indonesian) NoSuchAddress() string { return "Alamat ini tidak ada." }
func (indonesian) NotForPeople() string  { return "Alamat ini dibuat untuk plugin dan penyedia." }
func (indonesian) Fault() string         { return "Ada yang salah di sini." + indonesianTryAgain }
func (indonesian) NotRead() string {
	return "Permintaan tidak dapat dibaca. Mulai lagi proses masuk di plugin."
}
