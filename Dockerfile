# PAHA on a CPU: docker build -t paha . && docker run -p 7860:7860 -v paha:/data -e PAHA_TOKEN=$(openssl rand -hex 16) paha
# Any other command: docker run -v "$PWD:/work" -w /work paha animate me.jpg speech.wav -o out.mp4
FROM python:3.11-slim
# Extras to install; an index with CPU builds of torch, which are smaller by gigabytes than the default ones.
ARG EXTRAS=serve,synth,extract,provenance
ARG TORCH_INDEX=
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libegl1 libgles2 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* && useradd --create-home --uid 1000 paha && mkdir /data && chown paha /data
WORKDIR /opt/paha
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY paha paha
RUN if [ -n "$TORCH_INDEX" ]; then pip install --no-cache-dir -c constraints.txt --index-url "$TORCH_INDEX" torch; fi \
    && pip install --no-cache-dir -c constraints.txt ".[$EXTRAS]"
USER 1000
ENV OMP_WAIT_POLICY=PASSIVE
VOLUME /data
EXPOSE 7860
ENTRYPOINT ["paha"]
CMD ["serve", "--host", "0.0.0.0", "--folder", "/data"]
