from paha.training.motion.pose_reader_job import *  # noqa: F403
from paha.training.motion.pose_reader_job import POSE_READER_TRAIN, VISIBLE_SCORE, codec_transform, pose_reader_job  # noqa: F401
