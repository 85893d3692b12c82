//! Every word of the pages, in each language. Codes and numbers are not words.

use kilat_api::problem::Code;
use kilat_engine::OrderStatus;

/// The words of one language. A new one must bring them all.
pub(super) struct Text {
    pub(super) tag: &'static str,
    pub(super) other_tag: &'static str,
    pub(super) other_name: &'static str,
    pub(super) tagline: &'static str,
    pub(super) buy: &'static str,
    pub(super) left: &'static str,
    pub(super) of: &'static str,
    pub(super) per_customer: &'static str,
    pub(super) opens_in: &'static str,
    pub(super) opens_at: &'static str,
    pub(super) scheduled: &'static str,
    pub(super) paused: &'static str,
    pub(super) sold_out: &'static str,
    pub(super) closed: &'static str,
    pub(super) served_by: &'static str,
    pub(super) other_sales: &'static str,
    pub(super) receipt_title: &'static str,
    pub(super) receipt_thanks: &'static str,
    pub(super) order_number: &'static str,
    pub(super) quantity: &'static str,
    pub(super) status: &'static str,
    pub(super) back: &'static str,
    pub(super) held: &'static str,
    pub(super) confirmed: &'static str,
    pub(super) cancelled: &'static str,
    pub(super) expired: &'static str,
    pub(super) limit_reached: &'static str,
    pub(super) key_reused: &'static str,
    pub(super) failed_title: &'static str,
    pub(super) busy: &'static str,
    pub(super) stopping: &'static str,
    pub(super) cut_off: &'static str,
    pub(super) foreign: &'static str,
    pub(super) bad_form: &'static str,
    pub(super) broken: &'static str,
    pub(super) no_cookie: &'static str,
    pub(super) no_such_sale: &'static str,
    pub(super) no_such_order: &'static str,
    pub(super) not_found_title: &'static str,
    pub(super) not_found: &'static str,
    pub(super) no_sale_title: &'static str,
    pub(super) no_sale: &'static str,
}

impl Text {
    /// Why there is no order, to a buyer.
    pub(super) fn refusal(&self, code: Code) -> &'static str {
        match code {
            Code::SoldOut => self.sold_out,
            Code::LimitReached => self.limit_reached,
            Code::NotOpen => self.scheduled,
            Code::Paused => self.paused,
            Code::Closed => self.closed,
            Code::SaleNotFound => self.no_such_sale,
            Code::OrderNotFound => self.no_such_order,
            Code::KeyReused => self.key_reused,
            Code::Forbidden => self.foreign,
            Code::Overloaded
            | Code::StorageFull
            | Code::TooManyRequests
            | Code::CoreUnreachable
            | Code::OutcomeUnknown => self.busy,
            Code::ShuttingDown => self.stopping,
            Code::Malformed
            | Code::Invalid
            | Code::TooLarge
            | Code::UnsupportedMediaType
            | Code::RequestTimeout => self.bad_form,
            _ => self.broken,
        }
    }

    /// Where an order stands.
    pub(super) fn status(&self, status: OrderStatus) -> &'static str {
        match status {
            OrderStatus::Held => self.held,
            OrderStatus::Confirmed => self.confirmed,
            OrderStatus::Cancelled => self.cancelled,
            OrderStatus::Expired => self.expired,
        }
    }
}

pub(super) static INDONESIAN: Text = Text {
    tag: "id",
    other_tag: "en",
    other_name: "English",
    tagline: "Stok terbatas. Secepat kilat.",
    buy: "BELI SEKARANG",
    left: "Tersisa",
    of: "dari",
    per_customer: "Maksimal per pembeli",
    opens_in: "Dibuka dalam",
    opens_at: "Dibuka pada",
    scheduled: "Penjualan belum dibuka.",
    paused: "Penjualan dijeda sebentar. Tetap di sini.",
    sold_out: "Maaf, stok sudah habis.",
    closed: "Penjualan telah ditutup.",
    served_by: "Dilayani oleh Node",
    other_sales: "Penjualan lain",
    receipt_title: "Berhasil!",
    receipt_thanks: "Terima kasih. Pesanan Anda tersimpan dengan aman.",
    order_number: "Nomor pesanan",
    quantity: "Jumlah",
    status: "Status",
    back: "Kembali ke penjualan",
    held: "Ditahan",
    confirmed: "Terkonfirmasi",
    cancelled: "Dibatalkan",
    expired: "Kedaluwarsa",
    limit_reached: "Anda sudah mencapai batas pembelian untuk penjualan ini.",
    key_reused: "Formulir ini sudah dipakai. Muat ulang halaman lalu coba lagi.",
    failed_title: "Pesanan belum dibuat",
    busy: "Terlalu ramai saat ini. Tunggu sebentar lalu coba lagi.",
    stopping: "Node ini sedang berhenti. Coba lagi, node lain akan melayani.",
    cut_off: "Stok di halaman ini mungkin sudah berubah: sambungan sedang dipulihkan.",
    foreign: "Permintaan ini datang dari situs lain, jadi ditolak. Beli dari halaman penjualan.",
    bad_form: "Formulir tidak lengkap atau tidak terbaca. Muat ulang halaman lalu coba lagi.",
    broken: "Terjadi kesalahan di server. Coba lagi dengan formulir yang sama: pesanan tidak akan ganda.",
    no_cookie: "Kami belum mengenali peramban Anda. Izinkan cookie, kembali ke halaman penjualan, lalu coba lagi.",
    no_such_sale: "Penjualan itu tidak ada.",
    no_such_order: "Pesanan itu tidak ada, atau bukan milik Anda.",
    not_found_title: "Tidak ditemukan",
    not_found: "Halaman itu tidak ada.",
    no_sale_title: "Belum ada penjualan",
    no_sale: "Buat satu dengan perintah: kilat sale create",
};

pub(super) static ENGLISH: Text = Text {
    tag: "en",
    other_tag: "id",
    other_name: "Bahasa Indonesia",
    tagline: "Limited stock. Quick as lightning.",
    buy: "BUY NOW",
    left: "Left",
    of: "of",
    per_customer: "Most per buyer",
    opens_in: "Opens in",
    opens_at: "Opens at",
    scheduled: "The sale has not opened yet.",
    paused: "The sale is paused for a moment. Stay here.",
    sold_out: "Sorry, it is sold out.",
    closed: "The sale is closed.",
    served_by: "Served by node",
    other_sales: "Other sales",
    receipt_title: "It is yours!",
    receipt_thanks: "Thank you. Your order is safely recorded.",
    order_number: "Order number",
    quantity: "Quantity",
    status: "Status",
    back: "Back to the sale",
    held: "Held",
    confirmed: "Confirmed",
    cancelled: "Cancelled",
    expired: "Expired",
    limit_reached: "You have reached the limit per buyer of this sale.",
    key_reused: "This form was used before. Reload the page and try again.",
    failed_title: "No order was made",
    busy: "It is too busy right now. Wait a moment and try again.",
    stopping: "This node is stopping. Try again, another one will answer.",
    cut_off: "The stock shown may have changed: the connection is being restored.",
    foreign: "This request came from another site, so it was refused. Buy from the sale's own page.",
    bad_form: "The form is incomplete or can't be read. Reload the page and try again.",
    broken: "Something went wrong on the server. Try again with the same form: there will be no second order.",
    no_cookie: "We don't know your browser yet. Allow cookies, go back to the sale and try again.",
    no_such_sale: "There is no such sale.",
    no_such_order: "There is no such order, or it is not yours.",
    not_found_title: "Not found",
    not_found: "There is no such page.",
    no_sale_title: "No sale yet",
    no_sale: "Make one with the command: kilat sale create",
};
