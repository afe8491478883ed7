//! libvpx behind two owned contexts: the only `unsafe` of the VP8 side. The rest of the program sees pictures
//! and bytes. A context is created, used and destroyed here; libvpx copies what it is given during the call and
//! owns what it returns until the next call, which the borrows below express.

use crate::media::frame::VideoFrame;
use crate::media::video::{CodedPicture, Plane, VideoError, VideoTarget};
use bytes::Bytes;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use vpx_sys::{
    VPX_CODEC_OK, VPX_DECODER_ABI_VERSION, VPX_DL_REALTIME, VPX_EFLAG_FORCE_KF, VPX_ENCODER_ABI_VERSION,
    VPX_ERROR_RESILIENT_DEFAULT, VPX_FRAME_IS_KEY, vp8e_enc_control_id, vpx_codec_control_, vpx_codec_ctx_t,
    vpx_codec_cx_pkt_kind, vpx_codec_dec_init_ver, vpx_codec_decode, vpx_codec_destroy, vpx_codec_enc_cfg_t,
    vpx_codec_enc_config_default, vpx_codec_enc_config_set, vpx_codec_enc_init_ver, vpx_codec_encode,
    vpx_codec_err_t, vpx_codec_get_cx_data, vpx_codec_get_frame, vpx_codec_vp8_cx, vpx_codec_vp8_dx,
    vpx_enc_pass, vpx_image_t, vpx_img_fmt, vpx_img_wrap, vpx_kf_mode, vpx_rational, vpx_rc_mode,
};

/// Time stands in milliseconds inside the encoder.
const TICKS_PER_SECOND: i32 = 1000;
/// -16 (fastest) to 16; -6 keeps 640x360 near a millisecond with little loss.
const SPEED: i32 = -6;
/// The finest and the coarsest quantizer, 0 to 63.
const QUANTIZERS: (u32, u32) = (4, 58);
/// Most bits of a key frame, percent of an average picture's: about a quarter of a second's worth.
const KEY_FRAME_PERCENT: i32 = 900;

fn check(status: vpx_codec_err_t) -> Result<(), VideoError> {
    if status == VPX_CODEC_OK { Ok(()) } else { Err(VideoError::Codec(format!("libvpx: {status:?}"))) }
}

/// A libvpx context, on the heap because libvpx keeps pointers into it.
struct Context(Box<vpx_codec_ctx_t>);

// SAFETY: a context may move between threads; libvpx binds none to a thread, and `&mut` keeps uses apart.
unsafe impl Send for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context was initialised by one of the constructors and is destroyed once.
        unsafe { vpx_codec_destroy(&raw mut *self.0) };
    }
}

/// A zeroed context, which its init call fills.
fn blank_context() -> vpx_codec_ctx_t {
    // SAFETY: a plain C struct of pointers, integers and a C enum whose 0 is VPX_CODEC_OK.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// A VP8 encoder for pictures of one size.
pub(super) struct Encoder {
    context: Context,
    config: vpx_codec_enc_cfg_t,
    clock: i64,
    step: i64,
}

// SAFETY: `config` holds two data pointers for two-pass statistics, always null here; see `Context` for the rest.
unsafe impl Send for Encoder {}

impl Encoder {
    pub(super) fn new(size: (u32, u32), target: VideoTarget) -> Result<Self, VideoError> {
        let mut config = MaybeUninit::<vpx_codec_enc_cfg_t>::zeroed();
        // SAFETY: libvpx fills the whole struct when it says VPX_CODEC_OK, which is checked before it is read.
        let mut config = unsafe {
            check(vpx_codec_enc_config_default(vpx_codec_vp8_cx(), config.as_mut_ptr(), 0))?;
            config.assume_init()
        };
        set_up(&mut config, size, target);
        let mut context = Box::new(blank_context());
        // SAFETY: context and config are valid; libvpx copies the config.
        check(unsafe {
            vpx_codec_enc_init_ver(
                &raw mut *context,
                vpx_codec_vp8_cx(),
                &raw const config,
                0,
                VPX_ENCODER_ABI_VERSION as i32,
            )
        })?;
        let mut encoder = Self { context: Context(context), config, clock: 0, step: step_of(target) };
        encoder.control(vp8e_enc_control_id::VP8E_SET_CPUUSED, SPEED)?;
        encoder.control(vp8e_enc_control_id::VP8E_SET_STATIC_THRESHOLD, 1)?;
        encoder.control(vp8e_enc_control_id::VP8E_SET_MAX_INTRA_BITRATE_PCT, KEY_FRAME_PERCENT)?;
        Ok(encoder)
    }

    fn control(&mut self, id: vp8e_enc_control_id, value: i32) -> Result<(), VideoError> {
        // SAFETY: the context is initialised, and every control used here takes one int.
        check(unsafe { vpx_codec_control_(&raw mut *self.context.0, id as i32, value) })
    }

    pub(super) fn set_target(&mut self, target: VideoTarget) -> Result<(), VideoError> {
        self.config.rc_target_bitrate = target.kbps;
        self.step = step_of(target);
        // SAFETY: context and config are valid; libvpx copies the config.
        check(unsafe { vpx_codec_enc_config_set(&raw mut *self.context.0, &raw const self.config) })
    }

    /// `frame` must have the size the encoder was made for.
    pub(super) fn encode(
        &mut self,
        frame: &VideoFrame,
        key: bool,
    ) -> Result<Option<CodedPicture>, VideoError> {
        let luma = frame.width as usize * frame.height as usize;
        if (frame.width, frame.height) != (self.config.g_w, self.config.g_h)
            || frame.y.len() < luma
            || frame.u.len().min(frame.v.len()) < luma / 4
        {
            return Err(VideoError::Codec("planes do not fit the picture's size".into()));
        }
        let mut image = MaybeUninit::<vpx_image_t>::zeroed();
        // SAFETY: vpx_img_wrap fills the struct around the given pointer without reading it; it is null only
        // for a format it does not know. The plane pointers are then set to planes that outlive the call and
        // were checked to be as long as size and stride say; libvpx only reads them.
        let status = unsafe {
            if vpx_img_wrap(
                image.as_mut_ptr(),
                vpx_img_fmt::VPX_IMG_FMT_I420,
                frame.width,
                frame.height,
                1,
                frame.y.as_ptr().cast_mut(),
            )
            .is_null()
            {
                return Err(VideoError::Codec("libvpx refused the picture".into()));
            }
            let mut image = image.assume_init();
            image.planes = [
                frame.y.as_ptr().cast_mut(),
                frame.u.as_ptr().cast_mut(),
                frame.v.as_ptr().cast_mut(),
                null_mut(),
            ];
            image.stride = [frame.width as i32, frame.width as i32 / 2, frame.width as i32 / 2, 0];
            vpx_codec_encode(
                &raw mut *self.context.0,
                &raw const image,
                self.clock,
                self.step as _,
                if key { i64::from(VPX_EFLAG_FORCE_KF) as _ } else { 0 },
                u64::from(VPX_DL_REALTIME) as _,
            )
        };
        check(status)?;
        self.clock += self.step;
        Ok(self.collect())
    }

    /// What the last picture became.
    fn collect(&mut self) -> Option<CodedPicture> {
        let mut iterator = null();
        let mut coded = None;
        loop {
            // SAFETY: the context is initialised; the packet and its buffer live until the next encode call,
            // and are copied before. `data.frame` is the active member for this kind of packet.
            let (bytes, flags) = unsafe {
                let packet = vpx_codec_get_cx_data(&raw mut *self.context.0, &raw mut iterator).as_ref();
                let Some(packet) = packet else { return coded };
                if packet.kind != vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT {
                    continue;
                }
                let frame = packet.data.frame;
                (
                    Bytes::copy_from_slice(std::slice::from_raw_parts(frame.buf.cast(), frame.sz as usize)),
                    frame.flags,
                )
            };
            coded = Some(CodedPicture { data: bytes, key: flags & VPX_FRAME_IS_KEY != 0 });
        }
    }
}

fn step_of(target: VideoTarget) -> i64 {
    i64::from(TICKS_PER_SECOND) / i64::from(target.fps)
}

/// Real-time settings: constant bitrate, no look-ahead, no picture left out, every picture decodable though
/// others were lost (no entropy state carried over), key frames on request only.
fn set_up(config: &mut vpx_codec_enc_cfg_t, (width, height): (u32, u32), target: VideoTarget) {
    config.g_w = width;
    config.g_h = height;
    config.g_threads = 1;
    config.g_timebase = vpx_rational { num: 1, den: TICKS_PER_SECOND };
    config.g_error_resilient = VPX_ERROR_RESILIENT_DEFAULT;
    config.g_pass = vpx_enc_pass::VPX_RC_ONE_PASS;
    config.g_lag_in_frames = 0;
    config.rc_dropframe_thresh = 0;
    config.rc_resize_allowed = 0;
    config.rc_end_usage = vpx_rc_mode::VPX_CBR;
    config.rc_target_bitrate = target.kbps;
    (config.rc_min_quantizer, config.rc_max_quantizer) = QUANTIZERS;
    config.rc_undershoot_pct = 100;
    config.rc_overshoot_pct = 15;
    config.rc_buf_sz = 1000;
    config.rc_buf_initial_sz = 500;
    config.rc_buf_optimal_sz = 600;
    config.kf_mode = vpx_kf_mode::VPX_KF_DISABLED;
}

/// A VP8 decoder.
pub(super) struct Decoder(Context);

/// A decoded picture, still in libvpx's buffers.
pub(super) struct Picture<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) planes: [Plane<'a>; 3],
}

impl Decoder {
    pub(super) fn new() -> Result<Self, VideoError> {
        let mut context = Box::new(blank_context());
        // SAFETY: the context is valid; a null config asks for the defaults.
        check(unsafe {
            vpx_codec_dec_init_ver(
                &raw mut *context,
                vpx_codec_vp8_dx(),
                null(),
                0,
                VPX_DECODER_ABI_VERSION as i32,
            )
        })?;
        Ok(Self(Context(context)))
    }

    pub(super) fn decode(&mut self, unit: &[u8]) -> Result<Option<Picture<'_>>, VideoError> {
        let length = u32::try_from(unit.len()).map_err(|_| VideoError::Undecodable)?;
        // SAFETY: the context is initialised, `unit` is valid for the call and libvpx keeps no pointer to it.
        let status = unsafe { vpx_codec_decode(&raw mut *self.0.0, unit.as_ptr(), length, null_mut(), 0) };
        if status != VPX_CODEC_OK {
            return Err(VideoError::Undecodable);
        }
        let mut iterator = null();
        // SAFETY: the returned image is null or lives until the next decode call, which the borrow of `self`
        // in the result forbids meanwhile.
        let Some(image) = (unsafe { vpx_codec_get_frame(&raw mut *self.0.0, &raw mut iterator).as_ref() })
        else {
            return Ok(None);
        };
        let plane = |index: usize, rows: u32| -> Option<Plane<'_>> {
            let (start, stride) = (*image.planes.get(index)?, *image.stride.get(index)?);
            let stride = usize::try_from(stride).ok()?;
            if start.is_null() {
                return None;
            }
            // SAFETY: libvpx's planes are `stride` times their rows long.
            let bytes = unsafe { std::slice::from_raw_parts(start, stride * rows as usize) };
            Some(Plane { bytes, stride })
        };
        let chroma_rows = image.d_h.div_ceil(2);
        let planes =
            [(0, image.d_h), (1, chroma_rows), (2, chroma_rows)].map(|(index, rows)| plane(index, rows));
        let [Some(y), Some(u), Some(v)] = planes else { return Err(VideoError::Undecodable) };
        Ok(Some(Picture { width: image.d_w, height: image.d_h, planes: [y, u, v] }))
    }
}
