"""Faults that the tests must notice: six planted in the paper's formulas, and the bugs that reading the code has found.

Each is written as the text of today's code and what stood there, or might stand there, instead
(`python -m experiments.planted_faults` puts them in, one at a time).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault. edits: (text of today's code, which is there once; what takes its place). test: file::function that
    fails with it."""

    what: str
    file: str
    edits: tuple[tuple[str, str], ...]
    test: str


PLANTED = (
    Fault(
        "Eq. 8: sign of the guidance flipped",
        "paha/guidance/equations.py",
        (
            (
                "z_t if non_face_update is None else z_t - non_face_update",
                "z_t if non_face_update is None else z_t + non_face_update",
            ),
        ),
        "tests/guidance/test_direction.py::test_guidance_raises_the_score_of_every_clip",
    ),
    Fault(
        "Eq. 9: the face's gradient taken at z_t instead of z_t^non_face",
        "paha/guidance/equations.py",
        (("_update(face, z_non_face, t, schedule)", "_update(face, z_t, t, schedule)"),),
        "tests/guidance/test_direction.py::test_the_face_gradient_is_taken_at_the_non_face_result",
    ),
    Fault(
        "UniVDM: audio attention before the reference attention",
        "paha/univdm/blocks.py",
        (
            (
                "        x = x + self.attn2(self.norm2(x), image_BSD, cache)\n        if audio_BTAD is None:",
                "        if audio_BTAD is None:",
            ),
            (
                "audio_BTAD, cache)\n        return",
                "audio_BTAD, cache)\n        x = x + self.attn2(self.norm2(x), image_BSD, cache)\n        return",
            ),
        ),
        "tests/univdm/test_attention_order.py::test_the_parts_run_in_the_papers_order",
    ),
    Fault(
        "Eq. 5: no modality embedding E_m on the audio",
        "paha/pce/classifier.py",
        (("audio = audio + self.modal_encoding[1] + times_TD", "audio = audio + times_TD"),),
        "tests/pce/test_sequence.py::test_each_modality_has_its_own_embedding_on_every_token",
    ),
    Fault(
        "Eq. 6: the head reads the last token instead of [CLS]",
        "paha/pce/classifier.py",
        (("self.head(encoded_BSD[:, 0])", "self.head(encoded_BSD[:, -1])"),),
        "tests/pce/test_sequence.py::test_the_head_reads_the_cls_token",
    ),
    Fault(
        "classifier-free guidance against the audio",
        "paha/pipeline/prediction.py",
        (("without + cfg_scale * (prediction - without)", "without - cfg_scale * (prediction - without)"),),
        "tests/pipeline/test_audio_guidance.py::test_one_step_moves_along_what_the_audio_adds",
    ),
)

FOUND = (
    Fault(
        "tables: videos of an earlier, longer run are counted",
        "paha/evaluation/tables/table1.py",
        (
            ("        clips = [clip for clip in clips if only is None or clip.clip_id in only]\n", ""),
            (
                "        if run.limit is not None:\n            clips = [clip",
                "        if False:\n            clips = [clip",
            ),
        ),
        "tests/evaluation/tables/test_kept_videos.py::test_fewer_clips_into_the_same_folder_are_fewer_clips_in_table_1",
    ),
    Fault(
        "tables: --start is not in the settings of kept videos",
        "paha/evaluation/tables/videos.py",
        (("records[0].clip_id if records else None", "None"),),
        "tests/evaluation/tables/test_kept_videos.py::test_a_run_that_starts_elsewhere_does_not_take_videos_of_other_noise",
    ),
    Fault(
        "MediaPipe in threads: stderr is lost for good",
        "paha/extractors/quiet.py",
        (
            (
                "            if not self._inside:\n                sys.stderr",
                "            if True:\n                sys.stderr",
            ),
            (
                "            if not self._inside:\n                os.dup2(self._kept",
                "            if True:\n                os.dup2(self._kept",
            ),
        ),
        "tests/extractors/test_quiet.py::test_stderr_comes_back_when_overlapping_blocks_end_in_their_order",
    ),
    Fault(
        "8-bit sound is not centred",
        "paha/media/audio_io.py",
        (("samples = (samples - (low + high + 1) / 2) * (2 / (high - low + 1))", "samples = samples / (high + 1)"),),
        "tests/media/test_audio_io.py::test_integers_are_taken_by_the_range_of_their_type",
    ),
    Fault(
        "no samples at all: ValueError instead of one line",
        "paha/media/audio_io.py",
        (("    if samples.ndim != 2 or rate_hz < 1:", "    samples.max()\n    if samples.ndim != 2 or rate_hz < 1:"),),
        "tests/media/test_audio_io.py::test_no_samples_at_all_are_refused_in_one_line",
    ),
    Fault(
        "--jobs --save-frames: en/a.mp4 and zh/a.mp4 share a folder",
        "paha/cli/animate.py",
        (("self.save_frames / folders[job.output]", "self.save_frames / job.output.stem"),),
        "tests/cli/test_animate_options.py::test_frames_of_equal_names_in_two_folders_stay_apart",
    ),
    Fault(
        "two values of --guidance-scales: the third one differs between verbs",
        "paha/cli/guidance_flags.py",
        (
            (
                "by_preset = tuple(name for name in SCALES if name not in scales)",
                "by_preset = () if scales else tuple(SCALES)",
            ),
        ),
        "tests/cli/test_animate_options.py::test_scales_that_are_not_given_are_the_models_own_in_every_verb",
    ),
    Fault(
        "torchrun train classifier: features on every rank",
        "paha/cli/classifier.py",
        (('Path(from_main("features", lambda: str(made())))', "Path(str(made()))"),),
        "tests/training/pce/test_two_processes.py::test_features_and_report_are_made_once",
    ),
    Fault(
        "torchrun on CPUs: every process trains alone",
        "paha/training/distributed.py",
        (
            (
                'PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available())',
                "PartialState()",
            ),
        ),
        "tests/training/test_distributed.py::test_the_main_process_works_for_all_and_one_speaks_for_all",
    ),
    Fault(
        "torchrun train classifier: report on every rank",
        "paha/cli/classifier.py",
        (("if run.pairs.held_out > 0 and is_main():", "if run.pairs.held_out > 0:"),),
        "tests/training/pce/test_two_processes.py::test_features_and_report_are_made_once",
    ),
    Fault(
        "torchrun train classifier: pretraining on every rank",
        "paha/training/pce/job.py",
        (
            (
                'from_main("pretraining", lambda: _pretrain(model, train, **own, device=pretrain, stopped=stopped))',
                "_pretrain(model, train, **own, device=pretrain, stopped=stopped)",
            ),
        ),
        "tests/training/pce/test_two_processes.py::test_one_process_pretrains_and_all_start_from_its_weights",
    ),
    Fault(
        "first_frame_timestep=1000 is accepted",
        "paha/config.py",
        (('for name in ("first_frame_max_timestep", "first_frame_timestep"):', "for name in ():"),),
        "tests/test_config.py::test_what_cannot_work_is_refused_by_name",
    ),
    Fault(
        "mask_prob=5 is accepted",
        "paha/training/pce/job.py",
        (("mask_prob: float = Field(default=0.8, ge=0, le=1)", "mask_prob: float = 0.8"),),
        "tests/training/pce/test_run_options.py::test_what_cannot_work_is_refused_by_name",
    ),
    Fault(
        "doctor names an extra that does not bring the package",
        "paha/runtime/extras.py",
        (('"onnxruntime": ("extract",', '"onnxruntime": ("metrics",'),),
        "tests/cli/test_checks.py::test_every_optional_package_is_in_the_extra_that_is_said_to_bring_it",
    ),
    Fault(
        "os.sched_getaffinity where there is none (macOS, Windows)",
        "paha/runtime/workers.py",
        (('    if hasattr(os, "sched_getaffinity"):', "    if True:"),),
        "tests/cli/test_checks.py::test_cores_and_memory_are_told_on_systems_without_affinity_and_sysconf",
    ),
    Fault(
        "write_video([]): StopIteration",
        "paha/media/video_writer.py",
        (("next(chunks, None)", "next(chunks)"),),
        "tests/media/test_video_writer.py::test_a_video_of_no_frames_is_refused_and_leaves_nothing",
    ),
    Fault(
        "features of another image encoder are read",
        "paha/dataset/dataset.py",
        (('        wanted["image"] = image', "        pass"),),
        "tests/dataset/test_dataset.py::test_features_of_another_image_encoder_are_refused",
    ),
    Fault(
        "features do not say which image encoder made them",
        "paha/dataset/features.py",
        (('        "image": config.image.model_dump(mode="json"),\n        "clips"', '        "clips"'),),
        "tests/dataset/test_features.py::test_image_tokens_are_stored_where_the_encoder_sees_pixels",
    ),
    Fault(
        "measurements are kept where the sound has changed",
        "paha/evaluation/metrics/measure.py",
        (("files = [clip.video, clip.audio]", "files = [clip.video]"),),
        "tests/evaluation/metrics/test_measure.py::test_a_sound_that_changed_is_measured_again_and_an_unchanged_clip_is_not",
    ),
    Fault(
        "measurements are kept where exact keypoints have changed",
        "paha/evaluation/metrics/measure.py",
        (("    if instruments.pose is None:\n        files +=", "    if False:\n        files +="),),
        "tests/evaluation/metrics/test_measure.py::test_exact_keypoints_that_changed_are_read_again",
    ),
    Fault(
        "save_pretrained drops the estimator and classifiers that were never loaded",
        "paha/pipeline/parts.py",
        (
            (
                "        if self.folder is not None:\n            carry_along",
                "        if False:\n            carry_along",
            ),
        ),
        "tests/pipeline/test_model_folder.py::test_classifiers_that_were_never_loaded_and_encoders_are_carried_along",
    ),
)
