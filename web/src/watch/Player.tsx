// One player: hls.js wherever Media Source Extensions are, the browser's own HLS elsewhere; controls by media-chrome.
import Hls from "hls.js";
import {
  MediaControlBar,
  MediaController,
  MediaFullscreenButton,
  MediaLoadingIndicator,
  MediaMuteButton,
  MediaPlayButton,
  MediaPreviewThumbnail,
  MediaPreviewTimeDisplay,
  MediaTimeDisplay,
  MediaTimeRange,
  MediaVolumeRange,
} from "media-chrome/react";
import { useEffect, useRef } from "react";
import { reportWatched } from "./report";

export interface Playable {
  id: string;
  hls: boolean;
  storyboard: boolean;
  poster: boolean;
}

export function Player({ video, onError }: { video: Playable; onError: (sentence: string) => void }) {
  const element = useRef<HTMLVideoElement>(null);
  const base = `/videos/${video.id}`;

  // Before the one that takes the player its bytes away: on the way out they are called in this order.
  useEffect(() => {
    if (element.current) return reportWatched(element.current, video.id);
  }, [video.id]);

  useEffect(() => {
    const player = element.current;
    if (!player) return;
    if (!video.hls) {
      player.src = `${base}/source`;
      return;
    }
    const master = `${base}/master.m3u8`;
    if (!Hls.isSupported()) {
      player.src = master;
      return;
    }
    const hls = new Hls();
    // Tests and people with a console look at it.
    Object.assign(window, { hls, hlsErrors: [] as string[] });
    let recovered = false;
    hls.on(Hls.Events.ERROR, (_, { fatal, type, details }) => {
      (window as unknown as { hlsErrors: string[] }).hlsErrors.push(details);
      if (!fatal) return;
      if (type === Hls.ErrorTypes.MEDIA_ERROR && !recovered && details !== Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR) {
        recovered = true;
        hls.recoverMediaError();
        return;
      }
      onError(details === Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR ? "This browser can't decode this video." : `Playback stopped (${details}).`);
    });
    hls.loadSource(master);
    hls.attachMedia(player);
    return () => hls.destroy();
  }, [base, video.hls, onError]);

  return (
    <MediaController>
      <video ref={element} slot="media" playsInline preload="metadata" crossOrigin="anonymous" poster={video.poster ? `${base}/poster.jpg` : undefined}>
        {video.storyboard && <track kind="metadata" label="thumbnails" src={`${base}/storyboard.vtt`} default />}
      </video>
      <MediaLoadingIndicator slot="centered-chrome" />
      <MediaControlBar>
        <MediaPlayButton />
        <MediaTimeRange>
          <MediaPreviewThumbnail slot="preview" />
          <MediaPreviewTimeDisplay slot="preview" />
        </MediaTimeRange>
        <MediaTimeDisplay showDuration />
        <MediaMuteButton />
        <MediaVolumeRange />
        <MediaFullscreenButton />
      </MediaControlBar>
    </MediaController>
  );
}
