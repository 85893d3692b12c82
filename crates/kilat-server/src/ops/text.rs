//! Every word of the operator's pages, in both languages side by side.

use super::console::run::RunState;
use crate::pages::language::Language;
use kilat_api::problem::Code;
use kilat_api::sale::SaleState;

macro_rules! texts {
    ($($name:ident $id:literal $en:literal;)*) => {
        /// The words of one language.
        pub(super) struct Text {
            $(pub(super) $name: &'static str,)*
        }

        static INDONESIAN: Text = Text { $($name: $id,)* };
        static ENGLISH: Text = Text { $($name: $en,)* };
    };
}

texts! {
    tag "id" "en";
    other_tag "en" "id";
    other_name "English" "Bahasa Indonesia";
    operations "Operasi" "Operations";
    dashboard "Dasbor" "Dashboard";
    api_docs "Dokumentasi API" "API docs";
    shop "Halaman beli" "Buy page";
    served_by "Dilayani oleh Node" "Served by node";
    skip "Langsung ke isi" "Skip to content";
    sections "Bagian" "Sections";
    // Signing in.
    sign_in "Masuk" "Sign in";
    sign_out "Keluar" "Sign out";
    sign_in_lead "Pantau dan jalankan penjualan kilat dari sini." "Watch and run the flash sale from here.";
    token "Token admin" "Admin token";
    token_hint "Ada di berkas admin-token dalam direktori data, atau KILAT_ADMIN_TOKEN." "In the file admin-token of the data directory, or KILAT_ADMIN_TOKEN.";
    token_wrong "Token itu salah." "That token is wrong.";
    token_wait "Terlalu banyak token yang salah. Coba lagi dalam {} detik." "Too many wrong tokens. Try again in {} seconds.";
    token_none "Server ini tidak punya token admin, jadi tidak ada yang bisa masuk." "This server has no admin token, so nobody can sign in.";
    signed_out "Sesi Anda sudah berakhir. Masuk lagi untuk melanjutkan; tidak ada yang berubah." "Your session is over. Sign in again to go on; nothing was changed.";
    // The dashboard.
    live "Langsung" "Live";
    waiting "Menunggu data…" "Waiting for figures…";
    lost "Sambungan terputus, mencoba lagi…" "Connection lost, trying again…";
    unreachable "Konsol tidak terjangkau. Angka di bawah mungkin sudah lama." "The console can't be reached. The figures below may be old.";
    alone "Angka permintaan, latihan, dan pemeriksaan di sini hanya milik proses ini; stok, pesanan, dan event milik semua proses." "Figures of requests, rehearsals and checks here are those of this process only; stock, orders and events are those of all processes.";
    no_script "Angka langsung dan grafik memerlukan JavaScript. Tabel dan tombol bekerja tanpanya; muat ulang untuk memperbarui." "Live figures and charts need JavaScript. Tables and buttons work without it; reload to bring them up to date.";
    per_second "Permintaan per detik" "Requests per second";
    peak "tertinggi" "peak";
    latency "Waktu tanggap p99" "Response time p99";
    median "median" "median";
    mean_batch "rata-rata batch" "mean batch";
    queue "Antrean" "Queue";
    disk "fsync p99" "fsync p99";
    log_events "Event tersimpan" "Events stored";
    duplicates "duplikat" "duplicates";
    conflicts "konflik" "conflicts";
    replicas "Proses siap" "Processes ready";
    of "dari" "of";
    chart_rate "Permintaan beli menurut hasil" "Requests to buy by outcome";
    chart_latency "Waktu tanggap" "Response time";
    chart_stock "Stok dan penahanan" "Stock and holds";
    chart_queue "Antrean dan batch" "Queue and batch";
    chart_fsync "Waktu fsync" "Time of fsync";
    unit_second "per detik" "per second";
    unit_ms "milidetik" "milliseconds";
    unit_units "unit" "units";
    unit_count "jumlah" "count";
    as_table "Sebagai tabel" "As a table";
    time "Waktu" "Time";
    waits "menunggu" "waiting";
    facts_a_batch "fakta per batch" "facts a batch";
    outcome_confirmed "dikonfirmasi" "confirmed";
    outcome_held "ditahan" "held";
    outcome_replayed "pengulangan" "replayed";
    outcome_sold_out "habis" "sold out";
    outcome_limit "batas tercapai" "limit reached";
    outcome_refused "ditolak lainnya" "refused otherwise";
    outcome_failed "gagal" "failed";
    // Rehearsals.
    rehearsal "Latihan serangan" "Rehearsal attack";
    rehearsal_lead "Ribuan pembeli menyerbu salinan penjualan, lalu hasilnya dibuktikan. Penjualan aslinya tidak disentuh." "Thousands of buyers storm a copy of the sale, then the result is proven. The sale itself is not touched.";
    rehearsal_of "Salinan dari" "Copy of";
    buyers "Pembeli" "Buyers";
    orders_per_second "Pesanan per detik" "Orders per second";
    as_fast "secepatnya" "as fast as it goes";
    seconds "Lama (detik)" "Lasts (seconds)";
    one_each "satu pesanan per pembeli" "one order a buyer";
    attack "Mulai latihan" "Start the rehearsal";
    cancel "Hentikan" "Stop it";
    run_running "Berjalan" "Running";
    run_done "Selesai" "Done";
    run_failed "Gagal" "Failed";
    run_cancelled "Dihentikan" "Stopped";
    run_timed_out "Terlalu lama" "Took too long";
    proven "Terbukti" "Proven";
    not_proven "Tidak terbukti" "Not proven";
    skips_gateway "Langsung ke satu replika, tidak lewat gateway: gateway hanya melayani TLS, dan serangan tidak." "Straight to one replica, past the gateway: it speaks TLS only, which an attack does not.";
    // What an attack proves.
    proof_conserved "stok kekal" "stock is conserved";
    proof_sold_is_acknowledged "yang terjual sudah diakui" "what was sold was acknowledged";
    proof_never_oversold "tidak pernah oversold" "never oversold";
    proof_sold_to_the_last "terjual sampai unit terakhir" "sold to the last unit";
    proof_acknowledged_exist "setiap pesanan yang diakui ada seperti diakui" "every acknowledged order exists as acknowledged";
    proof_unique "id pesanan dan urutan unik" "order ids and sequences are unique";
    proof_no_strays "tidak ada pesanan tanpa penjelasan" "no unexplained order";
    proof_orders_add_up "jumlah pesanan cocok dengan yang terjual" "the orders add up to what was sold";
    proof_replays_are_the_same "kunci yang sama memberi pesanan yang sama" "the same key brings the same order";
    proof_replies_as_asked "pengakuan cocok dengan permintaannya" "acknowledgements match their requests";
    units_sold "terjual" "sold";
    acknowledged "diakui" "acknowledged";
    refused_orders "ditolak" "refused";
    unknown_orders "tidak diketahui" "unknown";
    one_run "Satu proses pada satu waktu. Tunggu atau hentikan yang sedang berjalan." "One run at a time. Wait, or stop the one that runs.";
    // Checks.
    check "Pemeriksaan" "Checks";
    check_lead "Tanyakan banyak ID sekaligus ke API pencarian; setiap jawaban dicatat dalam log audit." "Ask the lookup API for many IDs at once; every answer is written to an audit log.";
    check_stock "Audit stok semua penjualan" "Stock audit of all sales";
    check_stock_hint "SKU penjualan yang belum ditutup:" "SKUs of sales that are not closed:";
    check_other "Periksa ID lain" "Check other IDs";
    profile "Jenis" "Kind";
    profile_stock "Stok (SKU)" "Stock (SKU)";
    profile_flight "Penerbangan" "Flights";
    profile_domain "Domain" "Domains";
    profile_package "Paket" "Parcels";
    profile_player "Pemain" "Players";
    ids "ID, satu per baris" "IDs, one a line";
    repeat "Ulangi" "Repeat";
    once "sekali saja" "just once";
    each "setiap" "every";
    seconds_short "detik" "seconds";
    check_start "Mulai periksa" "Start the check";
    check_result "Hasil" "Result";
    no_lookups "Server ini tidak menjalankan API pencarian (--lookup-listen none), jadi tidak ada yang bisa ditanya." "This server runs no lookup API (--lookup-listen none), so there is nobody to ask.";
    result_csv "Unduh CSV" "Download CSV";
    outcome "Hasil" "Outcome";
    message "Pesan" "Message";
    found "ditemukan" "found";
    missing "tidak ada" "not found";
    unknown_outcome "tidak diketahui" "unknown";
    notable "perlu dilihat" "worth a look";
    more_rows "baris lain ada dalam CSV" "more rows are in the CSV";
    // Sales.
    sales "Penjualan" "Sales";
    sale "Penjualan" "Sale";
    new_sale "Penjualan baru" "New sale";
    no_sales "Belum ada penjualan. Buat yang pertama." "No sale yet. Make the first one.";
    state "Keadaan" "State";
    supply "Stok" "Supply";
    available "Tersedia" "Available";
    held "Ditahan" "Held";
    sold "Terjual" "Sold";
    stock_now "Stok sekarang" "Stock now";
    manage "Kelola" "Manage";
    open "Buka" "Open";
    pause "Jeda" "Pause";
    rehearsal_mark "latihan" "rehearsal";
    scheduled "Terjadwal" "Scheduled";
    is_open "Buka" "Open";
    paused "Dijeda" "Paused";
    sold_out "Habis" "Sold out";
    closed "Ditutup" "Closed";
    // Making and changing a sale.
    new_lead "Penjualan langsung terlihat di halaman beli." "The sale shows on the buy page at once.";
    sale_id "ID penjualan" "Sale ID";
    sale_id_hint "Huruf kecil, angka dan tanda hubung; menjadi bagian alamat." "Small letters, digits and hyphens; part of the address.";
    title "Judul" "Title";
    sku "SKU" "SKU";
    amount "Harga" "Price";
    amount_hint "Tanpa pemisah ribuan: 24999000. Titik hanya untuk desimal: 19.90." "Without separators of thousands: 24999000. A point is for decimals only: 19.90.";
    currency "Mata uang" "Currency";
    per_customer "Maksimal per pembeli" "Most per buyer";
    per_customer_hint "Kosongkan jika tanpa batas." "Leave empty for no limit.";
    hold_seconds "Lama penahanan (detik)" "Holds last (seconds)";
    opens_at "Dibuka pada" "Opens at";
    opens_hint "Kosongkan untuk langsung dibuka." "Leave empty to open at once.";
    closes_at "Ditutup pada" "Closes at";
    closes_hint "Kosongkan jika tidak ada batas waktu." "Leave empty for no end.";
    zone "Zona waktu" "Time zone";
    make "Buat penjualan" "Make the sale";
    schedule "Jadwal" "Schedule";
    schedule_save "Simpan jadwal" "Save the schedule";
    restock "Tambah stok" "Restock";
    restock_units "Unit tambahan" "Units to add";
    restock_do "Tambahkan" "Add";
    switch "Buka atau jeda" "Open or pause";
    switch_hint "Jeda menolak pesanan baru; penahanan tetap bisa dikonfirmasi." "Pausing refuses new orders; holds can still be confirmed.";
    close "Tutup penjualan" "Close the sale";
    close_hint "Penjualan yang ditutup tidak bisa dibuka lagi." "A closed sale can't be opened again.";
    close_sure "Ya, tutup untuk selamanya" "Yes, close it for good";
    close_do "Tutup" "Close";
    proof "Bukti" "Proof";
    proof_hint "Stok selalu sama dengan tersedia + ditahan + terjual." "Supply always equals available + held + sold.";
    audit_json "Audit (JSON)" "Audit (JSON)";
    orders_csv "Pesanan (CSV)" "Orders (CSV)";
    certificate "Sertifikat konservasi" "Certificate of conservation";
    certificate_lead "Setiap unit terhitung tepat sekali: tersedia, ditahan, atau terjual." "Every unit is accounted for exactly once: available, held or sold.";
    certificate_holds "Seimbang: tidak ada unit yang terjual lebih atau hilang." "Balanced: no unit was oversold or lost.";
    certificate_broken "TIDAK SEIMBANG. Hentikan penjualan dan periksa dengan kilat verify." "NOT BALANCED. Stop the sale and check it with kilat verify.";
    confirmed "Dikonfirmasi" "Confirmed";
    cancelled "Dibatalkan" "Cancelled";
    expired "Kedaluwarsa" "Expired";
    sequence "Urutan fakta" "Sequence of facts";
    read_at "Dibaca pada" "Read at";
    print_hint "Cetak atau simpan sebagai PDF dari menu peramban." "Print it or save it as a PDF from the browser's menu.";
    done_created "Penjualan dibuat." "The sale was made.";
    done_changed "Perubahan tersimpan." "The change is saved.";
    done_unchanged "Sudah dilakukan sebelumnya; tidak ada yang berubah lagi." "It had been done before; nothing changed again.";
    failed "Tidak ada yang berubah:" "Nothing was changed:";
    back "Kembali" "Back";
    // System.
    system "Sistem" "System";
    process "Proses" "Process";
    address "Alamat" "Address";
    rate "Permintaan/dtk" "Requests/s";
    connections "Koneksi" "Connections";
    memory "Memori" "Memory";
    restarts "Mulai ulang" "Restarts";
    state_ready "Siap" "Ready";
    state_leaving "Berhenti" "Leaving";
    state_cut_off "Terputus" "Cut off";
    state_silent "Diam" "Silent";
    state_starting "Memulai" "Starting";
    state_restarting "Mulai ulang" "Restarting";
    state_stopped "Berhenti" "Stopped";
    from_sales "Terbaru dari penjualan" "Latest from the sales";
    from_publishers "Terbaru dari penerbit" "Latest from publishers";
    nothing_yet "Belum ada." "Nothing yet.";
    what "Apa" "What";
    customer "Pembeli" "Customer";
    topic "Topik" "Topic";
    // What happened to sales and orders.
    fact_order_placed "pesanan dibuat" "order placed";
    fact_order_confirmed "pesanan dikonfirmasi" "order confirmed";
    fact_order_cancelled "pesanan dibatalkan" "order cancelled";
    fact_order_expired "pesanan kedaluwarsa" "order expired";
    fact_sale_created "penjualan dibuat" "sale created";
    fact_sale_changed "penjualan diubah" "sale changed";
    // Refusals.
    not_found_title "Tidak ditemukan" "Not found";
    not_found "Halaman itu tidak ada." "There is no such page.";
    refused_title "Tidak dilakukan" "Not done";
    no_such_sale "Penjualan itu tidak ada." "There is no such sale.";
    sale_exists "ID itu sudah dipakai penjualan lain." "Another sale has this ID.";
    key_reused "Formulir ini sudah dipakai untuk hal lain. Muat ulang halaman lalu coba lagi." "This form was used for something else. Reload the page and try again.";
    is_closed "Penjualan ini sudah ditutup untuk selamanya." "The sale is closed for good.";
    foreign "Permintaan ini tidak datang dari halaman ini, jadi ditolak." "This request did not come from this page, so it was refused.";
    bad_form "Formulir tidak lengkap atau tidak terbaca. Muat ulang halaman lalu coba lagi." "The form is incomplete or can't be read. Reload the page and try again.";
    invalid "Ada kolom yang belum benar." "Some fields are not right yet.";
    busy "Server terlalu sibuk. Tunggu sebentar lalu coba lagi." "The server is too busy. Wait a moment and try again.";
    no_space "Tidak ada ruang penyimpanan. Kosongkan sebagian, lalu coba lagi." "No space is left. Free some and try again.";
    core_away "Core tidak terjangkau. Tunggu sebentar lalu coba lagi." "The core can't be reached. Wait a moment and try again.";
    unknown "Jawaban tidak datang; hasilnya belum diketahui. Kirim formulir yang sama sekali lagi." "The answer did not come; what became of it is not known. Send the same form again.";
    stopping "Node ini sedang berhenti. Coba lagi, node lain akan melayani." "This node is stopping. Try again, another one will answer.";
    broken "Terjadi kesalahan di server." "Something went wrong on the server.";
    field_id "1 sampai 64 karakter: a–z, 0–9, dan tanda hubung, tidak diawali tanda hubung" "1 to 64 characters a–z, 0–9 and hyphens, not starting with a hyphen";
    field_text "wajib diisi dengan karakter yang bisa dicetak" "must be filled in with printable characters";
    field_amount "angka seperti 24999000 atau 19.90" "a number such as 24999000 or 19.90";
    field_amount_plain "Tulis {} tanpa pemisah." "Write {}, without separators.";
    field_amount_decimals "paling banyak {} angka desimal untuk {currency}" "at most {} decimals for {currency}";
    field_amount_whole "bilangan bulat untuk {currency}" "a whole number for {currency}";
    field_currency "kode ISO 4217 seperti IDR" "an ISO 4217 code such as IDR";
    field_number "bilangan bulat dalam batas" "a whole number within the limits";
    field_units "bilangan bulat dari 1 sampai 1.000.000.000.000" "a whole number from 1 to 1,000,000,000,000";
    field_time "tanggal dan jam" "a date and time";
    field_order "harus sesudah waktu buka" "must be after the opening";
}

/// The words of a language.
pub(super) fn of(language: Language) -> &'static Text {
    match language {
        Language::Indonesian => &INDONESIAN,
        Language::English => &ENGLISH,
    }
}

impl Text {
    /// Why something was not done, to an operator.
    pub(super) fn refusal(&self, code: Code) -> &'static str {
        match code {
            Code::SaleNotFound => self.no_such_sale,
            Code::SaleExists => self.sale_exists,
            Code::KeyReused => self.key_reused,
            Code::Closed => self.is_closed,
            Code::Forbidden => self.foreign,
            Code::Unauthorized => self.signed_out,
            Code::NotFound => self.not_found,
            Code::Invalid => self.invalid,
            Code::TooManyRequests => self.one_run,
            Code::Overloaded => self.busy,
            Code::StorageFull => self.no_space,
            Code::CoreUnreachable => self.core_away,
            Code::OutcomeUnknown => self.unknown,
            Code::ShuttingDown => self.stopping,
            Code::Malformed
            | Code::TooLarge
            | Code::UnsupportedMediaType
            | Code::RequestTimeout => self.bad_form,
            _ => self.broken,
        }
    }

    /// What a field of a sale must be.
    pub(super) fn field(&self, field: &str) -> &'static str {
        match field {
            "id" => self.field_id,
            "title" | "sku" => self.field_text,
            "amount" => self.field_amount,
            "currency" => self.field_currency,
            "units" => self.field_units,
            "opens_at" => self.field_time,
            "closes_at" => self.field_order,
            _ => self.field_number,
        }
    }

    /// The word for a profile.
    pub(super) fn profile(&self, profile: &str) -> &'static str {
        match profile {
            "flight" => self.profile_flight,
            "domain" => self.profile_domain,
            "package" => self.profile_package,
            "player" => self.profile_player,
            _ => self.profile_stock,
        }
    }

    /// What an attack proves; a check that is not known here goes by its name.
    pub(super) fn proof<'a>(&self, check: &'a str) -> &'a str {
        match check {
            "conserved" => self.proof_conserved,
            "sold_is_acknowledged" => self.proof_sold_is_acknowledged,
            "never_oversold" => self.proof_never_oversold,
            "sold_to_the_last" => self.proof_sold_to_the_last,
            "acknowledged_exist" => self.proof_acknowledged_exist,
            "unique" => self.proof_unique,
            "no_strays" => self.proof_no_strays,
            "orders_add_up" => self.proof_orders_add_up,
            "replays_are_the_same" => self.proof_replays_are_the_same,
            "replies_as_asked" => self.proof_replies_as_asked,
            other => other,
        }
    }

    /// The word for how a run stands.
    pub(super) fn run(&self, state: RunState) -> &'static str {
        match state {
            RunState::Running => self.run_running,
            RunState::Done => self.run_done,
            RunState::Failed => self.run_failed,
            RunState::Cancelled => self.run_cancelled,
            RunState::TimedOut => self.run_timed_out,
        }
    }

    /// The word for a state.
    pub(super) fn state(&self, state: SaleState) -> &'static str {
        match state {
            SaleState::Scheduled => self.scheduled,
            SaleState::Open => self.is_open,
            SaleState::Paused => self.paused,
            SaleState::SoldOut => self.sold_out,
            SaleState::Closed => self.closed,
        }
    }
}
