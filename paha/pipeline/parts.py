"""What a model has beside UniVDM and its codec: encoders and PCE classifiers, each loaded when it is first needed."""

from __future__ import annotations

from pathlib import Path

from paha.config import PahaConfig
from paha.errors import PahaError
from paha.extractors.audio import AUDIO_ENCODER_FOLDER, AcousticEncoder, AudioEncoder, load_audio_encoder
from paha.extractors.image import ImageEncoder, load_image_encoder
from paha.pce.classifier import PCEClassifier
from paha.pce.regions import Region
from paha.pipeline.model_folder import CLASSIFIER_FOLDERS, carry_along, load_classifier


class ModelParts:
    """The encoders and classifiers of one model, on the CPU until somebody moves them.

    folder: the model folder that carries them along; None for a model made in memory. The encoders given are used, else
    those that the preset names: out of the folder, a directory or the hub.
    """

    def __init__(
        self,
        preset: PahaConfig,
        folder: Path | None = None,
        audio_encoder: AudioEncoder | None = None,
        image_encoder: ImageEncoder | None = None,
    ) -> None:
        self.preset, self.folder = preset, folder
        self._audio_encoder, self._image_encoder = audio_encoder, image_encoder
        self.classifiers: dict[Region, PCEClassifier] = {}
        """Those that were given or loaded so far."""

    @property
    def audio_encoder(self) -> AudioEncoder:
        """The one given, or the preset's."""
        if self._audio_encoder is None:
            self._audio_encoder = load_audio_encoder(self.preset.audio, self.folder)
        return self._audio_encoder

    @property
    def image_encoder(self) -> ImageEncoder:
        """The one given, or the preset's."""
        if self._image_encoder is None:
            self._image_encoder = load_image_encoder(self.preset.image, self.folder)
        return self._image_encoder

    def classifier(self, region: Region) -> PCEClassifier:
        """The PCE classifier of a region, float32. Raises PahaError where there is none."""
        if region not in self.classifiers:
            if self.folder is None:
                raise PahaError(f"this pipeline has no {region} classifier; give it by add_classifier")
            self.classifiers[region] = load_classifier(self.folder, region, self.preset)
        return self.classifiers[region]

    def save(self, folder: Path) -> PahaConfig:
        """Write them into a model folder, with what their own one carries along and nobody loaded. Public encoders are
        kept by name. Returns the preset that finds them there."""
        for region, classifier in self.classifiers.items():
            classifier.save_pretrained(folder / CLASSIFIER_FOLDERS[region])
        written, preset = [CLASSIFIER_FOLDERS[region] for region in self.classifiers], self.preset
        # Others are not even loaded for this.
        acoustic = self.audio_encoder if preset.audio.kind == "acoustic" else None
        if isinstance(acoustic, AcousticEncoder):
            acoustic.save(folder / AUDIO_ENCODER_FOLDER)
            written.append(AUDIO_ENCODER_FOLDER)
            preset = preset.model_copy(update={"audio": preset.audio.model_copy(update={"name": ""})})
        if self.folder is not None:
            carry_along(self.folder, folder, without=written)
        return preset
